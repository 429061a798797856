/* Remote errors, for people. See backtrace.h. */

#include "clients/cli/terminal/backtrace.h"

#include "base/error.h"
#include "clients/cli/json/value.h"
#include "clients/cli/terminal/print.h"

/* The fields with the names of enum values, where the type is known. */
static json_t *fields_by_type(const ferry_error *error, const ferry_type *type) {
    const void *value = ferry_exception_in(error, type);
    ferry_bytes bytes, shown;
    json_t *json = NULL;

    if (!value || ferry_value_pack(type, value, &bytes, NULL) < 0)
        return NULL;
    if (ferry_value_format(type, bytes, &shown, NULL) == 0) {
        value_to_json(shown, &json, NULL);
        ferry_free(shown.block);
    }
    ferry_free(bytes.block);
    return json;
}

/* "    dividend: 1" */
static void print_fields(const ferry_error *error, const ferry_type *type, bool colour, FILE *to) {
    ErrorParts parts = error_parts(error);
    json_t *json = type ? fields_by_type(error, type) : NULL;
    const char *key;
    json_t *field;

    if (!json && parts.data.len > 0)
        value_to_json(parts.data, &json, NULL);
    json_object_foreach(json, key, field) {
        fprintf(to, "    %s: ", key);
        print_json(field, (PrintStyle){false, colour}, to);
        putc('\n', to);
    }
    json_decref(json);
}

void backtrace_print(const ferry_error *error, const ferry_type *type, bool colour, FILE *to) {
    for (const ferry_error *e = error; e && e->type; e = ferry_error_cause(e)) {
        if (e != error)
            fprintf(to, "%scaused by%s ", colour ? "\x1b[31m" : "", colour ? "\x1b[0m" : "");
        error_print_one(e, to);
        print_fields(e, e == error ? type : NULL, colour, to);
    }
}
