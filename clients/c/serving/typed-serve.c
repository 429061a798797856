/* SPDX-License-Identifier: Apache-2.0 */

/* Typed requests for generated code: C values in, C values out. See ferry/schema.h. */

#include "clients/c/core/typed.h"
#include "clients/c/serving/request.h"
#include "rpc/schema/codec/codec.h"
#include "rpc/schema/codec/value-error.h"

int invoke_unpacked(ferry_request *request, const ServedMethod *method) {
    const void *args = request_of(request)->args;
    int r = method->typed->dispatch(request, args, method->handlers, method->ctx);

    if (r == -ENOSYS && !request_of(request)->answered)
        return request_reject(request_of(request), "ferry.NoSuchMethod",
                              "the server has no handler for this method");
    return r;
}

int invoke_typed(ferry_request *request, const ServedMethod *method) {
    ferry_error error = FERRY_ERROR_INIT;
    void *args = NULL;
    int r;

    if (method->typed->flags & (FERRY_STREAM_IN | FERRY_STREAM_OUT) && !request_of(request)->flow)
        return request_reject(request_of(request), "ferry.InvalidArgument",
                              "the method has a stream, but the call opened none");
    if (method->typed->args) {
        r = schema_unpack_block_in(&request_of(request)->core->spare, method->typed->args,
                                   span_bytes(request->body), "args", &args, &error);
        if (r < 0) {
            r = request_reject(request_of(request), error.type, error.message);
            ferry_error_clear(&error);
            return r;
        }
        request_of(request)->args = args;
    }
    if (method->cache &&
        !request_of(request)->core->serve_memo->begin(request_of(request), method->cache, args))
        return 0;
    return invoke_unpacked(request, method);
}

static int check(const ferry_request *request, const ferry_method *method) {
    const Request *mine = request ? request_of(request) : NULL;

    return mine && mine->core && mine->typed == method && !mine->answered ? 0 : -EINVAL;
}

/* Answers with an error, because the handler's value cannot be packed. The caller gets the reason:
 * the handler can return only a code. */
static int refuse_value(ferry_request *request, int r, const ferry_error *error) {
    ferry_error said = FERRY_ERROR_INIT;

    error_set(&said, "ferry.Internal", "the server cannot send its answer: %s", error->message);
    request_reject(request_of(request), "ferry.Internal", said.message);
    ferry_error_clear(&said);
    return r;
}

int ferry_method_return(ferry_request *request, const ferry_method *method, const void *result) {
    ferry_error error = FERRY_ERROR_INIT;
    Buffer *bytes;
    int r = check(request, method);

    if (r < 0)
        return r;
    if (!method->result)
        return ferry_request_return(request, (ferry_bytes){NULL, 0, NULL});
    if (!result)
        return -EINVAL;
    bytes = scratch(request_of(request)->core);
    r = schema_pack(method->result, result, "result", bytes, &error);
    if (r == 0)
        return ferry_request_return(request, ferry_bytes_of(bytes->data, bytes->len));
    r = refuse_value(request, r, &error);
    ferry_error_clear(&error);
    return r;
}

int ferry_method_yield(ferry_request *request, const ferry_method *method, const void *item) {
    ferry_error error = FERRY_ERROR_INIT;
    int r = check(request, method);
    Buffer bytes;
    Core *core;

    if (r < 0 || !item || !method->stream_out)
        return -EINVAL;
    core = request_of(request)->core;
    bytes = scratch_take(core);
    r = schema_pack(method->stream_out, item, "item", &bytes, &error);
    if (r == 0)
        r = ferry_request_yield(request, ferry_bytes_of(bytes.data, bytes.len));
    scratch_give(core, &bytes);
    if (error.type)
        r = refuse_value(request, r, &error);
    ferry_error_clear(&error);
    return r;
}

int ferry_method_receive(ferry_request *request, const ferry_method *method, void *ret) {
    ferry_error error = FERRY_ERROR_INIT;
    ferry_bytes item;
    int r = check(request, method);

    if (r < 0 || !ret || !method->stream_in)
        return -EINVAL;
    r = ferry_request_receive(request, &item);
    if (r <= 0)
        return r;
    r = schema_unpack(method->stream_in, span_bytes(item), "item", ret, &error);
    if (r == 0)
        return 1;
    request_reject(request_of(request), error.type, error.message);
    ferry_error_clear(&error);
    return r;
}

/* ---- exceptions ---- */

static const char *annotation(const ferry_type *type, const char *name) {
    for (uint32_t i = 0; type->notes && i < type->notes->n_annotations; i++)
        if (strcmp(type->notes->annotations[i].name, name) == 0)
            return type->notes->annotations[i].value;
    return NULL;
}

/* Returns the message for people: a field of the exception, else its documentation, else its
 * name. */
static const char *message_of(const ferry_type *type, const void *value) {
    const char *name = annotation(type, "message");

    for (uint32_t i = 0; i < type->n; i++) {
        const ferry_field *field = &type->fields[i];

        if (field->type->kind == FERRY_KIND_STRING &&
            strcmp(field->name, name ? name : "message") == 0) {
            const char *text = *(const char *const *)((const char *)value + field->offset);

            if (text)
                return text;
        }
    }
    return type->notes && type->notes->doc ? type->notes->doc : type->name;
}

enum { EXCEPTION_MAX = WIRE_ERROR_BYTES - 16 * 1024 }; /* the rest is for texts and a trace */

int ferry_exception_throw_at(const char *file, int line, const char *func, ferry_request *request,
                             const ferry_type *type, const void *value) {
    ferry_error error = FERRY_ERROR_INIT;
    Buffer *bytes;
    int r;

    if (!request || !value || !request_of(request)->core || request_of(request)->answered)
        return -EINVAL;
    bytes = scratch(request_of(request)->core);
    r = schema_pack(type, value, type->name, bytes, &error);
    if (r == 0 && bytes->len > EXCEPTION_MAX)
        r = error_set(&error, "ferry.TooBig", "%s: an exception has %d bytes at most", type->name,
                      EXCEPTION_MAX);
    if (r < 0)
        r = refuse_value(request, r, &error);
    else
        r = request_throw(request_of(request), (ThrowPlace){file, line, func}, type->name,
                          message_of(type, value), ferry_bytes_of(bytes->data, bytes->len), NULL);
    ferry_error_clear(&error);
    return r;
}
