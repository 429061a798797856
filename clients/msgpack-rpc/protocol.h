/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The messages of msgpack-rpc, read and written:
 *
 *     request   [0, id, method, params]        response  [1, id, error | nil, result | nil]
 *     notify    [2, method, params]
 *
 * https://github.com/msgpack-rpc/msgpack-rpc/blob/master/spec.md
 */

#include <ferry/ferry.h>

#include "base/buffer.h"
#include "rpc/wire/reader.h"

typedef enum RpcKind { RPC_REQUEST, RPC_RESPONSE, RPC_NOTIFY } RpcKind;

typedef struct RpcMessage {
    RpcKind kind;
    uint32_t id;         /* of a request or response */
    Span method;         /* of a request or notification; str or bin, not checked */
    Span params;         /* one MessagePack value: its list, if problem is NULL */
    const char *problem; /* the request or notification has no list of parameters; a static text */
} RpcMessage;

/* Reads a text, which some clients send as bytes. */
static inline Span rpc_read_text(Reader *reader) {
    return reader_peek(reader) == WIRE_BIN ? reader_bin(reader) : reader_str(reader);
}

/* Reads one value. -EPROTO: it is not a message of msgpack-rpc; *ret_problem says why. */
int rpc_read(Span value, RpcMessage *ret, const char **ret_problem);

/* How errors are written. */
typedef enum RpcErrors {
    /* [code, "type: message"]: the code is 1 if the request is wrong, else 0, as in Neovim */
    RPC_ERRORS_PAIR,
    RPC_ERRORS_MAP, /* {"type", "message", "origin", "data", "trace", "retry", "cause"} */
} RpcErrors;

/* value: one MessagePack value, or empty for nil. */
void rpc_write_result(Buffer *to, uint32_t id, Span value);
void rpc_write_error(Buffer *to, uint32_t id, RpcErrors errors, const ferry_error *error);

/* Writes a notification. Its parameters are the values of params, followed by the list [topic,
 * body]; if params is empty, they are the topic and the body. */
void rpc_write_message(Buffer *to, Span method, Span params, const char *topic, Span body,
                       bool unpack);

/* Copies a value. Keys of maps that are numbers become texts, because most readers of msgpack-rpc
 * refuse such maps; Neovim closes the connection. */
void rpc_write_value(Buffer *to, Span value);
