/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of msgpack-rpc. See protocol.h. */

#include "clients/msgpack-rpc/protocol.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/text.h"
#include "rpc/wire/writer.h"

enum { ERROR_DEPTH_MAX = 8 };

/* ---- reading ---- */

static int refuse(const char **ret_problem, const char *problem) {
    *ret_problem = problem;
    return -EPROTO;
}

static void read_params(RpcMessage *message, Reader *reader) {
    Reader params;

    message->params = reader_value(reader);
    params = reader_of(message->params.data, message->params.len);
    if (reader_peek(&params) != WIRE_ARRAY)
        message->problem = "the parameters are not a list";
}

int rpc_read(Span value, RpcMessage *ret, const char **ret_problem) {
    Reader reader = reader_of(value.data, value.len);
    RpcMessage message = {0};
    uint64_t kind, id;
    uint32_t n;

    if (wire_check(value.data, value.len))
        return refuse(ret_problem, wire_check(value.data, value.len));
    if (reader_peek(&reader) != WIRE_ARRAY)
        return refuse(ret_problem, "a message is a list");
    n = reader_array(&reader);
    if (n == 0 || reader_peek(&reader) != WIRE_INT)
        return refuse(ret_problem, "a message begins with a number, its type");
    kind = reader_uint(&reader);
    if (reader.problem || kind > RPC_NOTIFY || n != (kind == RPC_NOTIFY ? 3 : 4))
        return refuse(ret_problem, "a message is [0, id, method, parameters], [1, id, error, "
                                   "result] or [2, method, parameters]");
    message.kind = (RpcKind)kind;
    if (kind != RPC_NOTIFY) {
        id = reader_peek(&reader) == WIRE_INT ? reader_uint(&reader) : UINT64_MAX;
        if (reader.problem || id > UINT32_MAX)
            return refuse(ret_problem, "an id is a number from 0 to 2^32-1");
        message.id = (uint32_t)id;
    }
    if (kind != RPC_RESPONSE) {
        message.method = rpc_read_text(&reader);
        if (reader.problem)
            return refuse(ret_problem, "a method is a text");
        read_params(&message, &reader);
    }
    *ret = message;
    return 0;
}

/* ---- values ---- */

static void write_key(Buffer *to, Reader *reader) {
    char text[24];

    if (reader_peek(reader) != WIRE_INT) {
        write_raw(to, reader_value(reader));
        return;
    }
    if (*reader->at == 0xCF)
        snprintf(text, sizeof(text), "%" PRIu64, reader_uint(reader));
    else
        snprintf(text, sizeof(text), "%" PRId64, reader_int(reader));
    write_text(to, text);
}

/* The value was checked before: it is at most WIRE_DEPTH_MAX deep, which limits the recursion. */
static void copy_value(Buffer *to, Reader *reader) {
    uint32_t n;

    switch (reader_peek(reader)) {
    case WIRE_ARRAY:
        n = reader_array(reader);
        write_array(to, n);
        while (n-- > 0 && !reader->problem)
            copy_value(to, reader);
        break;
    case WIRE_MAP:
        n = reader_map(reader);
        write_map(to, n);
        while (n-- > 0 && !reader->problem) {
            write_key(to, reader);
            copy_value(to, reader);
        }
        break;
    default:
        write_raw(to, reader_value(reader));
    }
}

void rpc_write_value(Buffer *to, Span value) {
    Reader reader = reader_of(value.data, value.len);

    if (value.len == 0 || wire_check(value.data, value.len))
        write_nil(to);
    else
        copy_value(to, &reader);
}

/* ---- errors ---- */

/* Neovim's codes: 0 is an exception, 1 a request that cannot be carried out as it is. */
static unsigned code_of(const ferry_error *error) {
    static const char *const wrong[] = {"ferry.InvalidArgument", "ferry.NoSuchMethod",
                                        "ferry.NoSuchService", "ferry.Misuse"};

    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
        if (strcmp(error->type, wrong[i]) == 0)
            return 1;
    return 0;
}

static void write_pair_of(Buffer *to, const ferry_error *error) {
    const char *between = *error->message ? ": " : "";
    char text[2048];
    int len = snprintf(text, sizeof(text), "%s%s%s", error->type, between, error->message);

    write_array(to, 2);
    write_uint(to, code_of(error));
    write_str(to, text, len < (int)sizeof(text) ? (size_t)len : sizeof(text) - 1);
}

static void write_map_of(Buffer *to, const ferry_error *error, unsigned depth) {
    const ferry_error *cause = depth < ERROR_DEPTH_MAX ? ferry_error_cause(error) : NULL;
    const char *origin = ferry_error_origin(error);
    ferry_bytes data = ferry_error_data(error);
    int64_t retry_ms = ferry_error_retry_ms(error);
    uint32_t n_trace = 0;

    while (ferry_error_trace(error, n_trace))
        n_trace++;
    write_map(to, 3 + (origin != NULL) + (data.len > 0) + (retry_ms >= 0) + (cause != NULL));
    write_text(to, "type");
    write_text(to, error->type);
    write_text(to, "message");
    write_text(to, error->message);
    if (origin) {
        write_text(to, "origin");
        write_text(to, origin);
    }
    if (data.len > 0) {
        write_text(to, "data");
        rpc_write_value(to, (Span){data.data, data.len});
    }
    if (retry_ms >= 0)
        write_pair(to, "retry", (uint64_t)retry_ms);
    write_text(to, "trace");
    write_array(to, n_trace);
    for (uint32_t i = 0; i < n_trace; i++)
        write_text(to, ferry_error_trace(error, i));
    if (cause) {
        write_text(to, "cause");
        write_map_of(to, cause, depth + 1);
    }
}

/* ---- messages ---- */

static void begin_response(Buffer *to, uint32_t id) {
    write_array(to, 4);
    write_uint(to, RPC_RESPONSE);
    write_uint(to, id);
}

void rpc_write_result(Buffer *to, uint32_t id, Span value) {
    begin_response(to, id);
    write_nil(to);
    rpc_write_value(to, value);
}

void rpc_write_error(Buffer *to, uint32_t id, RpcErrors errors, const ferry_error *error) {
    begin_response(to, id);
    if (errors == RPC_ERRORS_MAP)
        write_map_of(to, error, 0);
    else
        write_pair_of(to, error);
    write_nil(to);
}

static void write_body(Buffer *to, Span body, bool unpack) {
    if (unpack && body.len > 0 && !wire_check(body.data, body.len))
        rpc_write_value(to, body);
    else if (text_is_utf8(body.data, body.len))
        write_str(to, body.data, body.len);
    else
        write_bin(to, body.data, body.len);
}

void rpc_write_message(Buffer *to, Span method, Span params, const char *topic, Span body,
                       bool unpack) {
    Reader reader = reader_of(params.data, params.len);
    uint32_t n = params.len > 0 ? reader_array(&reader) : 0;

    write_array(to, 3);
    write_uint(to, RPC_NOTIFY);
    write_str(to, method.data, method.len);
    if (n > 0) {
        write_array(to, n + 1);
        write_raw(to, (Span){reader.at, reader_left(&reader)});
    }
    write_array(to, 2);
    write_text(to, topic);
    write_body(to, body, unpack);
}
