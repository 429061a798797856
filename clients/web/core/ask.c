/* SPDX-License-Identifier: Apache-2.0 */
/* Questions to ferry.Broker. See core.h. */

#include <stdarg.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "clients/json/value.h"
#include "clients/web/core/core.h"

typedef struct Question {
    AskFn fn;
    void *ctx;
} Question;

static void on_answer(const ferry_reply *reply, const ferry_error *error, void *ctx) {
    CLEANUP(ferry_error_clear) ferry_error problem = FERRY_ERROR_INIT;
    Question question = *(Question *)ctx;
    json_t *answer = NULL;

    free(ctx);
    if (!error && reply->body.len == 0)
        answer = json_null();
    else if (!error && value_to_json(reply->body, &answer, &problem) < 0)
        error = &problem;
    question.fn(answer, error, question.ctx);
    json_decref(answer);
}

static void ask_with(Web *web, AskFn fn, void *ctx, const char *method, const char *format,
                     va_list args) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    ferry_packer *packer = ferry_packer_new();
    Question *question = malloc(sizeof(*question));
    char name[64];
    int r = packer && question ? 0 : error_set_code(&error, -ENOMEM, NULL);

    snprintf(name, sizeof(name), "ferry.Broker.%s", method);
    if (r == 0) {
        ferry_pack_array(packer, (uint32_t)strlen(format));
        for (; *format; format++) {
            if (*format == 's')
                ferry_pack_str(packer, va_arg(args, const char *));
            else
                ferry_pack_uint(packer, va_arg(args, uint64_t));
        }
        *question = (Question){fn, ctx};
        r = ferry_packer_error(packer);
        if (r < 0)
            error_set_code(&error, r, "a name is not UTF-8");
    }
    /* While the broker is away, a call would wait for it. Answer at once that the broker is away.
     */
    if (r == 0 && web->is_away)
        r = error_set(&error, "ferry.NotConnected", "%s", web->problem);
    if (r == 0)
        r = ferry_call_async(web->client, name, ferry_packer_bytes(packer), on_answer, question,
                             &error);
    ferry_packer_close(packer);
    if (r < 0) {
        free(question);
        fn(NULL, &error, ctx);
    }
}

void ask(Web *web, AskFn fn, void *ctx, const char *method, const char *format, ...) {
    va_list args;

    va_start(args, format);
    ask_with(web, fn, ctx, method, format, args);
    va_end(args);
}

/* A request that waits for the broker. */
typedef struct WaitingRequest {
    HttpRequest *request;
    const char *key;
} WaitingRequest;

static void reply_with(json_t *answer, const ferry_error *error, void *ctx) {
    WaitingRequest waiting = *(WaitingRequest *)ctx;

    free(ctx);
    if (error) {
        problem_reply(waiting.request, error);
        return;
    }
    present(answer);
    if (json_is_null(answer))
        http_reply_json(waiting.request, 200, json_object());
    else if (waiting.key && json_is_integer(answer) && strcmp(waiting.key, "job") == 0)
        http_reply_json(waiting.request, 200,
                        json_pack("{s:o}", waiting.key, present_integers(json_incref(answer))));
    else if (waiting.key)
        http_reply_json(waiting.request, 200, json_pack("{s:O}", waiting.key, answer));
    else
        http_reply_json(waiting.request, 200, json_incref(answer));
}

void ask_for(HttpRequest *request, const char *key, const char *method, const char *format, ...) {
    WaitingRequest *waiting = malloc(sizeof(*waiting));
    va_list args;

    if (!waiting) {
        http_reply_problem(request, 503, "OutOfMemory", "out of memory");
        return;
    }
    *waiting = (WaitingRequest){request, key};
    va_start(args, format);
    ask_with(http_ctx(request), reply_with, waiting, method, format, args);
    va_end(args);
}
