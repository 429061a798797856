/* SPDX-License-Identifier: Apache-2.0 */
/* Cache annotations. See check-cache.h. */

#include <string.h>

#include "idl/check/check-cache.h"

static const Field *find(const Field *fields, const char *name, size_t len) {
    for (const Field *field = fields; field; field = field->next)
        if (strlen(field->name.text) == len && memcmp(field->name.text, name, len) == 0)
            return field;
    return NULL;
}

/* Checks a path such as "user.id": each part must be a field of the part before it. */
static void check_path(Program *program, const Function *function, Place place, const char *text,
                       size_t len) {
    const Field *fields = function->args;
    size_t at = 0;

    while (at <= len) {
        const char *dot = memchr(text + at, '.', len - at);
        size_t end = dot ? (size_t)(dot - text) : len;
        const Field *field = find(fields, text + at, end - at);
        const Definition *inside;

        if (!field) {
            report_error(&program->reports, place, NULL, "'cache.key': there is no '%.*s'",
                         (int)end, text);
            return;
        }
        if (!dot)
            return;
        inside = type_definition(field->type);
        if (!inside || inside->kind != DEFINITION_STRUCT) {
            /* An unknown type was reported already. */
            if (inside || field->type->kind != TYPE_NAMED)
                report_error(&program->reports, place, NULL, "'cache.key': '%.*s' is not a struct",
                             (int)end, text);
            return;
        }
        fields = inside->fields;
        at = end + 1;
    }
}

void check_cache_annotations(Program *program, const Function *function) {
    bool is_cached = annotation_find(function->annotations, "cache.ttl") != NULL;

    for (const Annotation *a = function->annotations; a; a = a->next) {
        if (!is_cached && strncmp(a->name.text, "cache.", 6) == 0)
            report_error(&program->reports, a->name.place, NULL, "'%s' needs 'cache.ttl'",
                         a->name.text);
        if (strcmp(a->name.text, "cache.key") != 0)
            continue;
        for (const char *text = a->value + strspn(a->value, " ,"); *text;
             text += strspn(text, " ,")) {
            size_t len = strcspn(text, " ,");

            check_path(program, function, a->value_place, text, len);
            text += len;
        }
    }
}
