/* SPDX-License-Identifier: Apache-2.0 */
/* Fields of a struct and arguments of a method: numbers, names, types. See check-private.h. */

#include <string.h>

#include "idl/check/check-private.h"

void same_name(Program *program, Name name, Name before, const char *what) {
    report_error(&program->reports, name.place, NULL, "there are two %s named '%s'", what,
                 name.text);
    report_also(&program->reports, before.place, "the first one is here");
}

void check_c_name(Program *program, const Annotation *annotations) {
    const Annotation *own = annotation_find(annotations, "c.name");
    const char *name = own ? own->value : "";

    if (!own)
        return;
    if (!own->has_value)
        report_error(&program->reports, own->name.place, "write it as (c.name = \"other_name\")",
                     "'c.name' needs a name");
    else if (!*name ||
             strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789") !=
                 strlen(name) ||
             (*name >= '0' && *name <= '9'))
        report_error(&program->reports, own->value_place, NULL, "'%s' cannot be a name in C", name);
}

/* Compares the field with the fields before it. FIELDS_MAX limits the time. */
static void check_unique(Program *program, const Field *first, const Field *field) {
    for (const Field *before = first; before != field; before = before->next) {
        if (before->id == field->id && field->has_id) {
            report_error(&program->reports, field->id_place, NULL,
                         "the number %lld already belongs to '%s'", (long long)field->id,
                         before->name.text);
            report_also(&program->reports, before->name.place, "here");
        }
        if (strcmp(before->name.text, field->name.text) == 0)
            same_name(program, field->name, before->name, "fields");
    }
}

void check_fields(Program *program, const File *file, Field *first, bool are_args) {
    int64_t automatic = -1;
    size_t n = 0;

    for (Field *field = first; field; field = field->next, n++) {
        if (n == FIELDS_MAX) {
            report_error(&program->reports, field->name.place, "put some of them into a struct",
                         "there are more than %d fields", FIELDS_MAX);
            return;
        }
        if (!field->has_id)
            field->id = automatic--;
        else if (field->id < INT16_MIN || field->id > INT16_MAX)
            report_error(&program->reports, field->id_place, NULL,
                         "a field's number must fit into 16 bits: -32768 to 32767");
        else if (field->id <= 0)
            report(&program->reports, SEVERITY_WARNING, field->id_place, NULL,
                   "field numbers start at 1: the compiler gives lower ones to fields without a "
                   "number");
        check_unique(program, first, field);
        check_c_name(program, field->annotations);
        resolve_type(program, file, field->type, are_args);
        field->optional = field->presence == PRESENCE_OPTIONAL;
        if (field->reference) {
            field->pointer = true;
            field->optional = field->presence != PRESENCE_REQUIRED;
        }
    }
}
