/* SPDX-License-Identifier: Apache-2.0 */

/* Typed calls for generated code: C values in, C values out. See ferry/schema.h. */

#include "clients/c/core/typed.h"
#include "clients/c/calls/stream.h"
#include "rpc/schema/codec/codec.h"

/* ferry_flush() reports the first oneway call that the broker did not take. */
static void oneway_taken(Core *core, AnyFn fn, const void *aux, void *ctx, const ferry_reply *reply,
                         const ferry_error *error) {
    (void)fn, (void)aux, (void)ctx, (void)reply;
    if (error && !core->unconfirmed.error.type)
        error_copy(&core->unconfirmed.error, error);
}

/* Packs the arguments into the core's buffer; the start of the call copies them from there. */
static int prepare(ferry_client *client, const char *service, const ferry_method *method,
                   const void *args, CallSpec *ret, ferry_error *reterr) {
    static const uint8_t none = 0x90; /* an empty list */
    Buffer *bytes;
    int r = client_check(client, reterr);

    if (r < 0)
        return r;
    *ret = (CallSpec){.service = span_text(service),
                      .method = span_text(method->name),
                      .flags = (method->flags & FERRY_IDEMPOTENT ? CALL_IDEMPOTENT : 0) |
                               (method->flags & FERRY_STREAM_IN ? CALL_STREAM_IN : 0) |
                               (method->flags & FERRY_STREAM_OUT ? CALL_STREAM_OUT : 0),
                      .timeout_ms = method->timeout_ms,
                      .direct = (method->flags & FERRY_DIRECT) != 0,
                      .args = ferry_bytes_of(&none, 1)};
    if (!method->args || method->args->n == 0)
        return 0;
    bytes = scratch(client->core);
    r = schema_pack(method->args, args, "args", bytes, reterr);
    ret->args = ferry_bytes_of(bytes->data, bytes->len);
    return r;
}

/* The bytes come from the server: if they are malformed, report ferry.Protocol instead of
 * ferry.InvalidArgument, which would blame the caller. */
static int unpack(void **spare, const ferry_type *type, ferry_bytes body, const char *what,
                  void *ret, ferry_error *reterr) {
    ferry_error error = FERRY_ERROR_INIT;
    int r = schema_unpack_in(spare, type, span_bytes(body), what, ret, &error);

    if (r == -EINVAL)
        r = error_set(reterr, "ferry.Protocol",
                      "the server's answer does not match its interface: %s", error.message);
    else if (r < 0)
        error_copy(reterr, &error);
    ferry_error_clear(&error);
    return r;
}

static int unpack_result(const ferry_method *method, ferry_bytes body, void *ret,
                         ferry_error *reterr) {
    return method->result && ret
               ? unpack(&(void *){NULL}, method->result, body, "result", ret, reterr)
               : 0;
}

int ferry_method_call(ferry_client *client, const char *service, const ferry_method *method,
                      const void *args, void *ret, ferry_error *reterr) {
    bool wanted = method->result && ret;
    ferry_reply *reply = NULL;
    const CallMemo *memo;
    CallSpec spec;
    int r = prepare(client, service, method, args, &spec, reterr);

    if (r < 0)
        return r;
    memo = client->core->call_memo;
    if (method->flags & FERRY_ONEWAY) {
        spec.end = oneway_taken;
        spec.flags |= CALL_ONEWAY;
        return call_start(client, &spec, reterr);
    }
    if (memo && memo->applies(client, method)) {
        MemoAnswer answer = {0};

        r = memo->run(client, method, args, &spec, &answer, reterr);
        if (r == 0 && answer.cached && unpack_result(method, answer.body, ret, NULL) == 0) {
            ferry_free(answer.block);
            return 0;
        }
        if (r == 0 && answer.cached)
            r = memo->replace(client, &spec, &answer, reterr);
        if (r == 0)
            r = unpack_result(method, answer.body, ret, reterr);
        ferry_free(answer.block);
        return r;
    }
    r = call_run(client, &spec, wanted ? &reply : NULL, reterr);
    if (r == 0 && wanted)
        r = unpack_result(method, reply->body, ret, reterr);
    ferry_free(reply);
    return r;
}

/* ---- with a callback ---- */

typedef union Result {
    int64_t scalar;
    double number;
    ferry_uuid uuid;
    void *block;
} Result;

static void answered(Core *core, AnyFn fn, const void *aux, void *ctx, const ferry_reply *reply,
                     const ferry_error *error) {
    const ferry_method *method = aux;
    ferry_error broken = FERRY_ERROR_INIT;
    Result result = {.block = NULL};
    bool scalar = method->result && method->result->kind <= FERRY_KIND_ENUM;

    if (!error && method->result &&
        unpack(&core->spare, method->result, reply->body, "result", &result, &broken) < 0)
        error = &broken;
    method->answer(fn, error ? NULL : scalar ? &result : result.block, error, ctx);
    if (!error && method->result && !scalar)
        schema_spare(&core->spare, result.block);
    ferry_error_clear(&broken);
}

int ferry_method_call_async(ferry_client *client, const char *service, const ferry_method *method,
                            const void *args, ferry_any_fn fn, void *ctx, ferry_error *reterr) {
    const CallMemo *memo;
    CallSpec spec;
    int r = fn ? prepare(client, service, method, args, &spec, reterr)
               : error_set(reterr, "ferry.Misuse", "the callback is NULL");

    if (r < 0)
        return r;
    spec.fn = fn;
    spec.ctx = ctx;
    spec.end = answered;
    spec.aux = method;
    memo = client->core->call_memo;
    if (memo && memo->applies(client, method))
        return memo->start(client, method, args, &spec, reterr);
    return call_start(client, &spec, reterr);
}

/* ---- streams ---- */

int ferry_method_open(ferry_client *client, const char *service, const ferry_method *method,
                      const void *args, ferry_stream **ret, ferry_error *reterr) {
    CallSpec spec;
    int r = prepare(client, service, method, args, &spec, reterr);

    if (r == 0)
        r = stream_open(client, &spec, ret, reterr);
    if (r == 0)
        stream_files(*ret)->method = method;
    return r;
}

int ferry_stream_next_typed(ferry_stream *stream, const ferry_method *method, void *ret,
                            ferry_error *reterr) {
    ferry_bytes item;
    int r = ferry_stream_next(stream, &item, reterr);

    if (r <= 0)
        return r;
    r = unpack(&(void *){NULL}, method->stream_out, item, "item", ret, reterr);
    return r < 0 ? r : 1;
}

int ferry_stream_send_typed(ferry_stream *stream, const ferry_method *method, const void *item,
                            ferry_error *reterr) {
    Core *core = stream ? stream_core(stream) : NULL;
    Buffer bytes;
    int r;

    if (!core)
        return ferry_stream_send(NULL, (ferry_bytes){NULL, 0, NULL}, reterr);
    bytes = scratch_take(core);
    r = schema_pack(method->stream_in, item, "item", &bytes, reterr);
    if (r == 0)
        r = ferry_stream_send(stream, ferry_bytes_of(bytes.data, bytes.len), reterr);
    scratch_give(core, &bytes);
    return r;
}

int ferry_stream_end_typed(ferry_stream *stream, const ferry_method *method, void *ret,
                           ferry_error *reterr) {
    ferry_bytes body;
    int r = ferry_stream_end(stream, reterr);

    if (r < 0 || method->stream_out)
        return r;
    r = stream_result(stream, &body, reterr);
    return r < 0 ? r : unpack_result(method, body, ret, reterr);
}

/* ---- exceptions ---- */

const void *ferry_exception_in(const ferry_error *error, const ferry_type *type) {
    ErrorValue *slot;
    ErrorParts parts;
    void *block;

    if (!error || !error->type || strcmp(error->type, type->name) != 0)
        return NULL;
    slot = error_value(error);
    if (!slot)
        return NULL;
    if (slot->block)
        return slot->type == type ? slot->block : NULL;
    parts = error_parts(error);
    if (schema_unpack_block(type, span_bytes(parts.data), type->name, &block, NULL) < 0)
        return NULL;
    slot->type = type;
    slot->block = block;
    return block;
}
