/* SPDX-License-Identifier: Apache-2.0 */
/* An error as JSON. See error-json.h. */

#include "clients/json/error-json.h"

#include "base/error.h"
#include "clients/json/value.h"

static json_t *as_text(const char *text) {
    json_t *json = json_string(text);

    /* Texts from the network are UTF-8, but a text of strerror() may have another encoding. */
    return json ? json : json_string("?");
}

static void add_text(json_t *to, const char *key, const char *text) {
    if (text)
        json_object_set_new(to, key, as_text(text));
}

static void add_trace(json_t *to, const ferry_error *error) {
    json_t *trace = ferry_error_trace(error, 0) ? json_array() : NULL;
    const char *place;

    for (size_t i = 0; trace && (place = ferry_error_trace(error, i)); i++)
        json_array_append_new(trace, as_text(place));
    if (trace)
        json_object_set_new(to, "trace", trace);
}

json_t *error_json_new(const ferry_error *error) {
    const ferry_error *cause = ferry_error_cause(error);
    ferry_bytes fields = ferry_error_data(error);
    int64_t retry_ms = ferry_error_retry_ms(error);
    json_t *json = json_object(), *data = NULL;

    if (!json)
        return NULL;
    add_text(json, "type", error->type ? error->type : error_type_by_code(error->code)->name);
    add_text(json, "message",
             error->message ? error->message
                            : strerror(error->code < 0 ? -error->code : error->code));
    add_text(json, "origin", ferry_error_origin(error));
    add_trace(json, error);
    if (fields.len > 0 && value_to_json(fields, &data, NULL) == 0)
        json_object_set_new(json, "data", data);
    if (retry_ms >= 0)
        json_object_set_new(json, "retry_ms", json_integer((json_int_t)retry_ms));
    if (error->outcome_unknown)
        json_object_set_new(json, "outcome_unknown", json_true());
    if (cause)
        json_object_set_new(json, "cause", error_json_new(cause));
    return json;
}
