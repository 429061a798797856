/* SPDX-License-Identifier: Apache-2.0 */
/* Checks a parsed file: headers, names and definitions. See program.h. */

#include <string.h>

#include "idl/check/check-private.h"

/* ---- definitions ---- */

static void check_enum(Program *program, Definition *definition) {
    int64_t next = 0;
    size_t n = 0;

    for (EnumValue *value = definition->values; value; value = value->next, n++) {
        if (!value->has_number)
            value->number = next;
        if (value->number < INT32_MIN || value->number > INT32_MAX) {
            report_error(&program->reports,
                         value->has_number ? value->number_place : value->name.place, NULL,
                         "an enum's value must fit into 32 bits: -2147483648 to 2147483647");
            value->number = 0;
        }
        next = value->number + 1;
        if (n >= VALUES_MAX) {
            report_error(&program->reports, value->name.place, NULL,
                         "there are more than %d values", VALUES_MAX);
            return;
        }
        check_c_name(program, value->annotations);
        for (EnumValue *before = definition->values; before != value; before = before->next) {
            if (strcmp(before->name.text, value->name.text) == 0)
                same_name(program, value->name, before->name, "values");
            else if (before->number == value->number)
                report(&program->reports, SEVERITY_WARNING, value->name.place, NULL,
                       "'%s' has the same number as '%s': the first name is shown",
                       value->name.text, before->name.text);
        }
    }
}

static void check_union(Program *program, Definition *definition) {
    const Field *with_value = NULL;

    for (Field *field = definition->fields; field; field = field->next) {
        if (field->presence == PRESENCE_REQUIRED)
            report(&program->reports, SEVERITY_WARNING, field->name.place, NULL,
                   "a union has one of its fields: 'required' has no effect");
        field->presence = PRESENCE_DEFAULT;
        field->optional = false;
        field->pointer = field->reference;
        if (field->value && with_value)
            report_error(&program->reports, field->name.place, NULL,
                         "only one field of a union can have a default");
        if (field->value)
            with_value = field;
    }
}

static void check_message(Program *program, const Definition *definition) {
    const Annotation *message = annotation_find(definition->annotations, "message");

    if (!message || definition->kind != DEFINITION_EXCEPTION)
        return;
    for (const Field *field = definition->fields; field; field = field->next) {
        const Type *type = type_true(field->type);

        if (strcmp(field->name.text, message->value) == 0 && type && type->kind == TYPE_STRING)
            return;
    }
    report_error(&program->reports, message->name.place, NULL,
                 "'message' must name a string field of the exception");
}

/* ---- the whole file ---- */

static void check_headers(Program *program, const File *file) {
    static const char *const scopes[] = {
        "*",      "c",    "c_glib",  "cpp", "cl",        "csharp", "d",     "dart",
        "delphi", "erl",  "go",      "gv",  "haxe",      "html",   "java",  "js",
        "javame", "json", "kotlin",  "lua", "markdown",  "netstd", "ocaml", "perl",
        "php",    "py",   "rb",      "rs",  "smalltalk", "st",     "swift", "typescript",
        "xml",    "xsd",  "haskell", "hs",  "nodejs"};
    size_t n = 0;

    for (const FileHeader *header = file->headers; header; header = header->next) {
        if (n++ == FIELDS_MAX) {
            report_error(&program->reports, header->name.place, NULL,
                         "there are more than %d includes and namespaces", FIELDS_MAX);
            return;
        }
        size_t len = header->kind == HEADER_NAMESPACE ? strcspn(header->scope.text, ".") : 0;
        bool known = header->kind != HEADER_NAMESPACE;

        for (size_t i = 0; i < sizeof(scopes) / sizeof(*scopes) && !known; i++)
            known = strlen(scopes[i]) == len && memcmp(scopes[i], header->scope.text, len) == 0;
        if (!known)
            report(&program->reports, SEVERITY_WARNING, header->scope.place, NULL,
                   "unknown language '%s'", header->scope.text);
        for (const FileHeader *h = file->headers; h != header; h = h->next)
            if (h->kind == HEADER_NAMESPACE && header->kind == HEADER_NAMESPACE &&
                strcmp(h->scope.text, header->scope.text) == 0) {
                report(&program->reports, SEVERITY_WARNING, header->scope.place, NULL,
                       "there are two namespaces for '%s': the last one counts",
                       header->scope.text);
                report_also(&program->reports, h->scope.place, "the first one is here");
                break;
            } else if (h->kind == HEADER_INCLUDE && header->kind == HEADER_INCLUDE && h->file &&
                       h->file == header->file) {
                report(&program->reports, SEVERITY_WARNING, header->name.place, NULL,
                       "'%s' is included twice", header->name.text);
                break;
            } else if (h->kind == HEADER_INCLUDE && header->kind == HEADER_INCLUDE &&
                       strcmp(h->prefix, header->prefix) == 0) {
                report_error(&program->reports, header->name.place, NULL,
                             "two included files are named '%s', so their names are ambiguous",
                             header->prefix);
                break;
            }
    }
}

static void check_definition(Program *program, const File *file, Definition *definition) {
    check_c_name(program, definition->annotations);
    switch (definition->kind) {
    case DEFINITION_CONST:
    case DEFINITION_TYPEDEF:
        resolve_type(program, file, definition->type, false);
        break;
    case DEFINITION_ENUM:
        check_enum(program, definition);
        break;
    case DEFINITION_STRUCT:
    case DEFINITION_UNION:
    case DEFINITION_EXCEPTION:
        check_fields(program, file, definition->fields, false);
        if (definition->kind == DEFINITION_UNION)
            check_union(program, definition);
        break;
    case DEFINITION_SERVICE:
        break;
    }
}

void check_file(Program *program, File *file) {
    check_headers(program, file);
    for (Definition *d = file->definitions; d; d = d->next) {
        Definition *before = program_declare(program, file, d);

        if (before)
            same_name(program, d->name, before->name, "definitions");
    }
    for (Definition *d = file->definitions; d; d = d->next)
        check_definition(program, file, d);
    for (Definition *d = file->definitions; d; d = d->next)
        if (d->kind == DEFINITION_TYPEDEF)
            check_typedef(program, d);
    for (Definition *d = file->definitions; d; d = d->next)
        if (definition_has_fields(d))
            check_endless(program, d, 0);
    break_cycles(program, file);
    /* All types are known now, which the checks of values and services need. */
    for (Definition *d = file->definitions; d; d = d->next)
        d->state = STATE_NEW;
    for (Definition *d = file->definitions; d; d = d->next) {
        if (d->kind == DEFINITION_CONST)
            check_const(program, d);
        for (Field *f = definition_has_fields(d) ? d->fields : NULL; f; f = f->next)
            if (f->value)
                check_value(program, f->type, f->value, f->name.text);
        check_message(program, d);
        if (d->kind == DEFINITION_SERVICE)
            check_service(program, file, d);
    }
    check_defaults(program, file);
}
