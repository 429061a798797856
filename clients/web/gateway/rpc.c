/* SPDX-License-Identifier: Apache-2.0 */
/* POST /rpc: JSON-RPC 2.0, with batches and notifications. The method is "calc.Calc.add". */

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "clients/json/value.h"
#include "clients/web/gateway/call.h"
#include "clients/web/gateway/routes.h"

enum { BATCH_MAX = 100 };

/* The errors of JSON-RPC. */
enum {
    RPC_PARSE = -32700,
    RPC_INVALID = -32600,
    RPC_NO_METHOD = -32601,
    RPC_PARAMS = -32602,
    RPC_FAILED = -32000,
};

/* A request's body: one call, or a batch. */
typedef struct RpcBatch {
    HttpRequest *request;
    json_t *answers;
    size_t n_left; /* calls in flight, plus one for the loop that starts them */
    bool is_batch, text_integers;
} RpcBatch;

typedef struct RpcCall {
    RpcBatch *batch;
    json_t *id; /* NULL: a notification */
} RpcCall;

static json_t *error_answer(const json_t *id, int code, const char *message, json_t *data) {
    json_t *error = json_pack("{s:i, s:s}", "code", code, "message", message);

    if (data)
        json_object_set_new(error, "data", data);
    return json_pack("{s:s, s:o, s:O?}", "jsonrpc", "2.0", "error", error, "id", id);
}

static void finish_one(RpcBatch *batch) {
    json_t *answers = batch->answers;

    if (--batch->n_left > 0)
        return;
    if (json_array_size(answers) == 0)
        http_reply_empty(batch->request, 204); /* only notifications: no answer */
    else if (batch->is_batch)
        http_reply_json(batch->request, 200, json_incref(answers));
    else
        http_reply_json(batch->request, 200, json_incref(json_array_get(answers, 0)));
    json_decref(answers);
    free(batch);
}

static int code_of(const ferry_error *error) {
    return error->code == -EHOSTUNREACH || error->code == -ENOSYS ? RPC_NO_METHOD
           : error->code == -EINVAL                               ? RPC_PARAMS
                                                                  : RPC_FAILED;
}

static void on_end(unsigned status, json_t *json, const ferry_error *error, void *ctx) {
    RpcCall *call = ctx;
    RpcBatch *batch = call->batch;
    json_t *answer = NULL;

    (void)status;
    if (call->id && error)
        answer = error_answer(call->id, code_of(error), error->message,
                              json_incref(json_object_get(json, "ferry")));
    else if (call->id)
        answer = json_pack("{s:s, s:O?, s:O}", "jsonrpc", "2.0", "result", json, "id", call->id);
    if (answer && !error && !json)
        json_object_set_new(answer, "result", json_null());
    if (answer)
        json_array_append_new(batch->answers, answer);
    json_decref(json);
    json_decref(call->id);
    free(call);
    finish_one(batch);
}

/* Returns the id of a request; NULL: the id is missing or has a wrong type. */
static json_t *id_of(const json_t *request) {
    json_t *id = json_object_get(request, "id");

    return json_is_string(id) || json_is_number(id) || json_is_null(id) ? id : NULL;
}

static bool is_valid(const json_t *request, const char **dot) {
    const char *version = json_string_value(json_object_get(request, "jsonrpc"));
    const char *method = json_string_value(json_object_get(request, "method"));
    const json_t *params = json_object_get(request, "params");

    *dot = method ? strrchr(method, '.') : NULL;
    return version && strcmp(version, "2.0") == 0 && method &&
           (!params || json_is_array(params) || json_is_object(params)) &&
           (!json_object_get(request, "id") || id_of(request));
}

static void start_one(RpcBatch *batch, const json_t *request) {
    const char *method = json_string_value(json_object_get(request, "method")), *dot;
    json_t *params = json_object_get(request, "params"), *id = id_of(request);
    RpcCall *call;
    char service[256];

    if (!is_valid(request, &dot)) {
        json_array_append_new(
            batch->answers,
            error_answer(id, RPC_INVALID, "this is not a JSON-RPC 2.0 request", NULL));
        return;
    }
    if (!dot || (size_t)(dot - method) >= sizeof(service)) {
        if (id)
            json_array_append_new(batch->answers,
                                  error_answer(id, RPC_NO_METHOD,
                                               "the method is SERVICE.METHOD, as in calc.Calc.add",
                                               NULL));
        return;
    }
    call = malloc(sizeof(*call));
    if (!call)
        return;
    *call = (RpcCall){batch, json_incref(id)};
    snprintf(service, sizeof(service), "%.*s", (int)(dot - method), method);
    batch->n_left++;
    web_call_start(http_ctx(batch->request),
                   &(CallOptions){.service = service,
                                  .method = dot + 1,
                                  .args = params ? json_incref(params) : json_array(),
                                  .text_integers = batch->text_integers},
                   on_end, call);
}

static void start(HttpRequest *request, json_t *body) {
    const char *integers = http_header(request, "Ferry-Integers");
    RpcBatch *batch = malloc(sizeof(*batch));
    json_t *one;
    size_t i;

    if (!batch) {
        http_reply_problem(request, 503, "OutOfMemory", "out of memory");
        return;
    }
    *batch = (RpcBatch){request, json_array(), 1, json_is_array(body),
                        integers && strcmp(integers, "string") == 0};
    json_array_foreach(body, i, one) start_one(batch, one);
    if (!batch->is_batch)
        start_one(batch, body);
    finish_one(batch);
}

void gateway_rpc(HttpRequest *request) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    ferry_bytes text = http_body(request);
    json_t *body = NULL;

    if (value_parse(text.data, text.len, "the body", &body, &error) < 0)
        http_reply_json(request, 200, error_answer(NULL, RPC_PARSE, error.message, NULL));
    else if (json_is_array(body) && json_array_size(body) == 0)
        http_reply_json(request, 200, error_answer(NULL, RPC_INVALID, "the batch is empty", NULL));
    else if (json_array_size(body) > BATCH_MAX)
        http_reply_json(request, 200,
                        error_answer(NULL, RPC_INVALID, "a batch has at most 100 requests", NULL));
    else
        start(request, body);
    json_decref(body);
}
