/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies and paths of requests, checked. See core.h. */

#include "base/error.h"
#include "base/text.h"
#include "clients/json/value.h"
#include "clients/web/core/core.h"

json_t *input_object(HttpRequest *request) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    ferry_bytes body = http_body(request);
    json_t *json = NULL;

    if (value_parse(body.data, body.len, "the body", &json, &error) < 0) {
        problem_reply(request, &error);
        return NULL;
    }
    if (json_is_object(json))
        return json;
    json_decref(json);
    http_reply_problem(request, 400, "ferry.InvalidArgument", "the body must be a JSON object");
    return NULL;
}

const char *input_text(HttpRequest *request, const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));

    if (!text)
        http_reply_problem(request, 400, "ferry.InvalidArgument",
                           "'%s' is missing, or is not a string", key);
    return text;
}

bool input_number(HttpRequest *request, const char *text, uint64_t *ret) {
    if (text_parse_count(text, ret) == 0)
        return true;
    http_reply_problem(request, 400, "ferry.InvalidArgument",
                       "a part of the path must be a number of decimal digits");
    return false;
}
