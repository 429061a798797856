/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The description of a service. Servers send it with SERVE, the broker stores it, and clients can
 * request it. docs/description.md has the format. Reading it makes the same tables as in generated
 * code, so one codec works with both.
 */

#include <ferry/schema.h>

#include "base/buffer.h"
#include "rpc/wire/reader.h"

enum {
    DESCRIPTION_VERSION = 1,
    DESCRIPTION_BYTES_MAX = 1024 * 1024,
    DESCRIPTION_TYPE_DEPTH = 16, /* nesting of list<list<…>> */
    DESCRIPTION_NAMES_MAX = 255, /* bytes of a name */
    /* Tables of most descriptions take this many times the bytes of the description. */
    DESCRIPTION_TABLES = 8,
};

/* Appends the description. -ENOMEM, -EMSGSIZE. */
int description_write(const ferry_service *service, Buffer *to);

/*
 * Reads a description from an untrusted peer. ret is one block with all tables. Their C structs are
 * laid out at run time, so only schema_pack() and schema_unpack() can use their values.
 *
 * -EINVAL: reterr has the error and its place; -EMSGSIZE; -ENOMEM.
 */
int description_read(Span bytes, ferry_service **ret, ferry_error *reterr);

/* The memory of the tables that description_read() made. */
size_t description_memory(const ferry_service *service);

/* The method of this name, or NULL. */
const ferry_method *description_method(const ferry_service *service, const char *name);

/* Appends the service as an interface file with its documentation. The file can be compiled.
 * -ENOMEM. */
int description_print(const ferry_service *service, Buffer *to);

/* "list<calc.Range>", at most size bytes; returns to. */
const char *description_type_text(const ferry_type *type, char *to, size_t size);
