/* SPDX-License-Identifier: Apache-2.0 */
/* Errors of ferry as HTTP problems (RFC 9457). See core.h. */

#include "clients/json/error-json.h"
#include "clients/web/core/core.h"

unsigned problem_status(const ferry_error *error) {
    static const struct {
        int code;
        unsigned status;
    } rows[] = {
        {EINVAL, 400}, {EACCES, 403},     {EPERM, 403},   {EHOSTUNREACH, 404}, {ENOSYS, 404},
        {ENOENT, 404}, {ESTALE, 409},     {EEXIST, 409},  {EMSGSIZE, 413},     {EREMOTEIO, 422},
        {EIO, 500},    {EOPNOTSUPP, 501}, {EPROTO, 502},  {ECONNRESET, 502},   {ENOTCONN, 503},
        {EBUSY, 503},  {ENOBUFS, 503},    {EAGAIN, 503},  {ESHUTDOWN, 503},    {ECANCELED, 503},
        {ENOMEM, 503}, {EMFILE, 503},     {EREMCHG, 503}, {ETIMEDOUT, 504},
    };
    int code = error->code < 0 ? -error->code : error->code;

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        if (rows[i].code == code)
            return rows[i].status;
    return 500;
}

json_t *problem_new(const ferry_error *error, unsigned status) {
    json_t *whole = error_json_new(error);
    const char *type = json_string_value(json_object_get(whole, "type"));
    char urn[300];

    snprintf(urn, sizeof(urn), "urn:ferry:error:%.255s", type ? type : "ferry.Internal");
    return json_pack("{s:s, s:s, s:i, s:O, s:o}", "type", urn, "title",
                     type ? type : "ferry.Internal", "status", (int)status, "detail",
                     json_object_get(whole, "message"), "ferry", whole);
}

void problem_reply(HttpRequest *request, const ferry_error *error) {
    unsigned status = problem_status(error);
    int64_t retry_ms = ferry_error_retry_ms(error);
    char seconds[24];

    if (status == 503) {
        snprintf(seconds, sizeof(seconds), "%lld",
                 (long long)(retry_ms > 1000 ? (retry_ms + 999) / 1000 : 1));
        http_add_header(request, "Retry-After", seconds);
    }
    http_reply_json(request, status, problem_new(error, status));
}
