/* SPDX-License-Identifier: Apache-2.0 */
/* Services and their methods. See check-private.h. */

#include <string.h>

#include "base/text.h"
#include "idl/check/check-private.h"

static bool is_service(const Definition *definition) {
    return definition->kind == DEFINITION_SERVICE;
}

static void check_duration(Program *program, const Annotation *annotation, uint64_t max_ms) {
    uint64_t ms;

    if (!annotation || !annotation->has_value) {
        if (annotation)
            report_error(&program->reports, annotation->name.place,
                         "write it as \"250ms\", \"5s\" or \"2m\"", "'%s' needs a time",
                         annotation->name.text);
        return;
    }
    if (text_parse_ms(annotation->value, &ms) < 0 || ms == 0)
        report_error(&program->reports, annotation->value_place,
                     "write it as \"250ms\", \"5s\" or \"2m\"", "'%s' is not a time",
                     annotation->value);
    else if (ms > max_ms)
        report_error(&program->reports, annotation->value_place, NULL, "the longest %s is %s",
                     annotation->name.text, max_ms > 3600000 ? "10000 days" : "1h");
}

static void check_flag(Program *program, const Annotation *annotation) {
    if (annotation && strcmp(annotation->value, "true") != 0 &&
        strcmp(annotation->value, "false") != 0 && strcmp(annotation->value, "1") != 0 &&
        strcmp(annotation->value, "0") != 0)
        report_error(&program->reports, annotation->value_place, "\"true\" or \"false\"",
                     "'%s' is neither true nor false", annotation->value);
}

static void check_may(Program *program, const Annotation *annotation) {
    if (annotation &&
        (!annotation->has_value || strspn(annotation->value, " ,") == strlen(annotation->value)))
        report_error(&program->reports, annotation->name.place, "(may = \"admins, joe\")",
                     "'may' needs the names of the users and groups that may call the method");
}

static void check_method_annotations(Program *program, const Function *function) {
    static const char *const known[] = {"timeout",   "idempotent", "cache.ttl",      "cache.stale",
                                        "cache.key", "cache.tags", "cache.negative", "deprecated",
                                        "c.name",    "may"};
    enum { N = sizeof(known) / sizeof(*known) };

    check_duration(program, annotation_find(function->annotations, "timeout"), 3600000);
    check_duration(program, annotation_find(function->annotations, "cache.ttl"), 864000000000);
    check_duration(program, annotation_find(function->annotations, "cache.stale"), 864000000000);
    check_duration(program, annotation_find(function->annotations, "cache.negative"), 864000000000);
    check_flag(program, annotation_find(function->annotations, "idempotent"));
    check_may(program, annotation_find(function->annotations, "may"));
    for (const Annotation *a = function->annotations; a; a = a->next) {
        const char *nearest = text_nearest(a->name.text, known, N);
        bool is_known = false;

        for (size_t i = 0; i < N; i++)
            is_known = is_known || strcmp(a->name.text, known[i]) == 0;
        if (nearest && !is_known)
            report(&program->reports, SEVERITY_WARNING, a->name.place,
                   region_printf(&program->region, "did you mean '%s'?", nearest),
                   "ferry ignores '%s'", a->name.text);
    }
}

static const Field *find_argument(const Field *fields, const char *name, size_t len) {
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
        const Field *field = find_argument(fields, text + at, end - at);
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

static void check_cache_annotations(Program *program, const Function *function) {
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

static void check_throws(Program *program, const File *file, const Function *function) {
    check_fields(program, file, function->throws, false);
    for (const Field *field = function->throws; field; field = field->next) {
        Definition *thrown = type_definition(field->type);

        if (type_true(field->type) && (!thrown || thrown->kind != DEFINITION_EXCEPTION))
            report_error(&program->reports, field->type->place, NULL,
                         "only an exception can be thrown");
        if (field->presence != PRESENCE_DEFAULT)
            report(&program->reports, SEVERITY_WARNING, field->name.place, NULL,
                   "'required' and 'optional' have no effect in 'throws'");
    }
}

static void check_streams(Program *program, const Function *function) {
    const Field *stream = NULL;

    for (Field *field = function->args; field; field = field->next) {
        if (field->type->kind != TYPE_STREAM)
            continue;
        if (stream)
            report_error(&program->reports, field->type->place, NULL,
                         "a method takes at most one stream");
        if (field->value || field->presence != PRESENCE_DEFAULT)
            report_error(&program->reports, field->name.place, NULL,
                         "a stream has no default and is never absent");
        stream = field;
    }
    if (function->oneway && stream)
        report_error(&program->reports, stream->type->place, NULL,
                     "a oneway method cannot take a stream");
    if (annotation_find(function->annotations, "cache.ttl") &&
        (stream || !function->result || function->result->kind == TYPE_STREAM))
        report_error(&program->reports, function->name.place, NULL,
                     "'cache.ttl' needs a result, and no stream");
}

static void check_function(Program *program, const File *file, Function *function) {
    check_fields(program, file, function->args, true);
    if (function->result)
        resolve_type(program, file, function->result, true);
    check_throws(program, file, function);
    if (function->oneway && function->result)
        report_error(&program->reports, function->result->place, "write 'oneway void'",
                     "a oneway method has no result");
    if (function->oneway && function->throws)
        report_error(&program->reports, function->throws->name.place, NULL,
                     "a oneway method cannot throw: its caller does not wait");
    for (Field *field = function->args; field; field = field->next)
        if (field->value)
            check_value(program, field->type, field->value, field->name.text);
    check_streams(program, function);
    check_method_annotations(program, function);
    check_c_name(program, function->annotations);
    check_cache_annotations(program, function);
}

static const Function *find_function(const Definition *service, const char *name,
                                     const Function *before) {
    for (const Function *f = service->functions; f && f != before; f = f->next)
        if (strcmp(f->name.text, name) == 0)
            return f;
    return NULL;
}

static void check_extends(Program *program, const File *file, Definition *service) {
    if (!service->extends.text)
        return;
    service->base = program_find(file, service->extends.text);
    if (!service->base || service->base->kind != DEFINITION_SERVICE) {
        report_error(&program->reports, service->extends.place,
                     program_hint(program, file, service->extends.text, is_service),
                     "there is no service '%s'", service->extends.text);
        service->base = NULL;
        return;
    }
    if (service->base->file != file)
        return;
    /* A service must be defined before it is extended, so no service can extend itself. */
    if (service->base->state != STATE_DONE) {
        report_error(&program->reports, service->extends.place,
                     service->base == service ? NULL : "define the extended service first",
                     service->base == service ? "the service '%s' extends itself"
                                              : "the service '%s' is extended before it is defined",
                     service->base->name.text);
        service->base = NULL;
    }
}

void check_service(Program *program, const File *file, Definition *service) {
    int depth = 0, n = 0;

    check_extends(program, file, service);
    check_flag(program, annotation_find(service->annotations, "direct"));
    for (const Definition *base = service->base; base; base = base->base)
        if (++depth == PROGRAM_DEPTH_MAX / 4) {
            report_error(&program->reports, service->extends.place, NULL,
                         "services extend each other more than %d levels deep",
                         PROGRAM_DEPTH_MAX / 4);
            service->base = NULL;
            break;
        }
    for (Function *function = service->functions; function; function = function->next) {
        const Function *before;

        if (n++ == FIELDS_MAX) {
            report_error(&program->reports, function->name.place, NULL,
                         "there are more than %d methods", FIELDS_MAX);
            break;
        }
        before = find_function(service, function->name.text, function);
        for (const Definition *base = service->base; base && !before; base = base->base)
            before = find_function(base, function->name.text, NULL);
        if (before)
            same_name(program, function->name, before->name, "methods");
        check_function(program, file, function);
    }
    service->state = STATE_DONE;
}
