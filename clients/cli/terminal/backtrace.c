/* SPDX-License-Identifier: Apache-2.0 */

/* Remote errors, for people. See backtrace.h. */

#include "clients/cli/terminal/backtrace.h"

#include "clients/cli/terminal/out.h"
#include "clients/cli/terminal/print.h"
#include "clients/json/value.h"

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
    ferry_bytes data = ferry_error_data(error);
    json_t *json = type ? fields_by_type(error, type) : NULL;
    const char *key;
    json_t *field;

    if (!json && data.len > 0)
        value_to_json(data, &json, NULL);
    json_object_foreach(json, key, field) {
        out_format(to, "    %s: ", key);
        print_json(field, (PrintStyle){false, colour}, to);
        putc('\n', to);
    }
    json_decref(json);
}

static void print_error(const ferry_error *error, FILE *to) {
    const char *origin = ferry_error_origin(error), *place;
    int64_t retry_ms = ferry_error_retry_ms(error);

    out_format(to, "%s: %s\n", error->type, error->message);
    if (origin)
        out_format(to, "    in %s\n", origin);
    for (size_t i = 0; (place = ferry_error_trace(error, i)); i++)
        out_format(to, "    by %s\n", place);
    if (retry_ms >= 0)
        out_format(to, "    retry after %lld ms\n", (long long)retry_ms);
    if (error->outcome_unknown)
        out_format(to, "    sent, but not answered: it may have happened\n");
}

void backtrace_print(const ferry_error *error, const ferry_type *type, bool colour, FILE *to) {
    for (const ferry_error *e = error; e && e->type; e = ferry_error_cause(e)) {
        if (e != error)
            fputs(colour ? "\x1b[31mcaused by\x1b[0m " : "caused by ", to);
        print_error(e, to);
        print_fields(e, e == error ? type : NULL, colour, to);
    }
}
