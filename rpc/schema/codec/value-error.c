/* SPDX-License-Identifier: Apache-2.0 */
/* The error of a value and its place. See value-error.h. */

#include "rpc/schema/codec/value-error.h"

#include <stdarg.h>

#include "base/error.h"

void value_error_set(ValueError *error, const char *type, const char *format, ...) {
    va_list args;

    if (error->type)
        return;
    error->type = type ? type : "ferry.InvalidArgument";
    va_start(args, format);
    vsnprintf(error->text, sizeof(error->text), format, args);
    va_end(args);
}

static void prepend(ValueError *error, const char *step, size_t len) {
    static const char more[] = "...";

    /* The end of the path matters most, so "..." replaces its beginning. */
    if (error->start < len + 2 * sizeof(more)) {
        if (strncmp(error->path + error->start, more, 3) != 0) {
            error->start -= sizeof(more) - 1;
            memcpy(error->path + error->start, more, sizeof(more) - 1);
        }
        return;
    }
    error->start -= len;
    memcpy(error->path + error->start, step, len);
}

void value_error_in_field(ValueError *error, const char *name) {
    size_t len = strlen(name);
    char step[80];

    step[0] = '.';
    len = len < sizeof(step) - 1 ? len : sizeof(step) - 1;
    memcpy(step + 1, name, len);
    prepend(error, step, len + 1);
}

void value_error_in_item(ValueError *error, size_t index) {
    char step[32];

    prepend(error, step, (size_t)snprintf(step, sizeof(step), "[%zu]", index));
}

void value_error_in_key(ValueError *error) {
    prepend(error, ".key", 4);
}

int value_error_report(const ValueError *error, const char *root, ferry_error *reterr) {
    return error_set(reterr, error->type, "%s%.*s: %s", root,
                     (int)(sizeof(error->path) - error->start), error->path + error->start,
                     error->text);
}

const char *value_error_type_name(const ferry_type *type) {
    static const char *const names[] = {"?",      "bool", "i8",     "i16",    "i32",       "i64",
                                        "double", "uuid", "enum",   "string", "binary",    "list",
                                        "set",    "map",  "struct", "union",  "exception", "args"};

    if (type->kind == FERRY_KIND_ARGS)
        return "list";
    return type->name ? type->name : names[type->kind <= FERRY_KIND_ARGS ? type->kind : 0];
}
