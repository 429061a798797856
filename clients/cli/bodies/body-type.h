/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Bodies of topics and queues as JSON, by the type of an interface file that --pack or --unpack
 * names. Programs pack and unpack the same bodies with generated code. No other file of this
 * command reads interface files.
 */

#include "base/buffer.h"
#include "clients/cli/run/cli.h"

#define BODY_TYPE_ARG "TYPE"
#define BODY_TYPE_HELP                                                                             \
    "FILE:NAME, a type of an interface file; or 'any', MessagePack without a type"

typedef struct BodyType {
    bool is_set;            /* false: bodies are not converted */
    const ferry_type *type; /* NULL: any */
    ferry_service *owner;
} BodyType;

/* spec: "orders.thrift:Order", "any", or NULL: not set. Returns an exit status. */
int body_type_open(BodyType *type, Cli *cli, const char *option, const char *spec);
void body_type_close(BodyType *type);

/* Packs a JSON text. -EINVAL: reterr has the place. */
int body_type_pack(const BodyType *type, ferry_bytes text, Buffer *to, ferry_error *reterr);

/* Unpacks a body. -EINVAL: it is not a value of the type. */
int body_type_unpack(const BodyType *type, ferry_bytes body, json_t **ret, ferry_error *reterr);

/* As body_type_unpack(), to a line of JSON. */
int body_type_text(const BodyType *type, ferry_bytes body, Buffer *to, ferry_error *reterr);

static inline void body_type_closep(BodyType *type) {
    body_type_close(type);
}
