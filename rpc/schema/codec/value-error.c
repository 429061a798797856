/* What is wrong with a value, and where. See value-error.h. */

#include "rpc/schema/codec/value-error.h"

#include <stdarg.h>

#include "base/error.h"

void trouble_set(Trouble *trouble, const char *type, const char *format, ...) {
    va_list args;

    if (trouble->type)
        return;
    trouble->type = type ? type : "ferry.InvalidArgument";
    va_start(args, format);
    vsnprintf(trouble->text, sizeof(trouble->text), format, args);
    va_end(args);
}

static void prepend(Trouble *trouble, const char *step, size_t len) {
    static const char more[] = "...";

    /* Room for the mark stays: what is nearest to the trouble matters most. */
    if (trouble->start < len + 2 * sizeof(more)) {
        if (strncmp(trouble->path + trouble->start, more, 3) != 0) {
            trouble->start -= sizeof(more) - 1;
            memcpy(trouble->path + trouble->start, more, sizeof(more) - 1);
        }
        return;
    }
    trouble->start -= len;
    memcpy(trouble->path + trouble->start, step, len);
}

void trouble_in_field(Trouble *trouble, const char *name) {
    size_t len = strlen(name);
    char step[80];

    step[0] = '.';
    len = len < sizeof(step) - 1 ? len : sizeof(step) - 1;
    memcpy(step + 1, name, len);
    prepend(trouble, step, len + 1);
}

void trouble_in_item(Trouble *trouble, size_t index) {
    char step[32];

    prepend(trouble, step, (size_t)snprintf(step, sizeof(step), "[%zu]", index));
}

void trouble_in_key(Trouble *trouble) {
    prepend(trouble, ".key", 4);
}

int trouble_report(const Trouble *trouble, const char *root, ferry_error *reterr) {
    return error_set(reterr, trouble->type, "%s%.*s: %s", root,
                     (int)(sizeof(trouble->path) - trouble->start), trouble->path + trouble->start,
                     trouble->text);
}

const char *trouble_type_name(const ferry_type *type) {
    static const char *const names[] = {"?",      "bool", "i8",     "i16",    "i32",       "i64",
                                        "double", "uuid", "enum",   "string", "binary",    "list",
                                        "set",    "map",  "struct", "union",  "exception", "args"};

    if (type->kind == FERRY_KIND_ARGS)
        return "list";
    return type->name ? type->name : names[type->kind <= FERRY_KIND_ARGS ? type->kind : 0];
}
