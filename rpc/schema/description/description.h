/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What a service offers, as bytes: sent with SERVE, kept by the broker, read by whoever asks.
 * docs/description.md has the format. What is read becomes the same tables as generated code has,
 * so that one codec checks bodies against either.
 */

#include <ferry/schema.h>

#include "base/buffer.h"
#include "rpc/wire/reader.h"

enum {
    DESCRIPTION_VERSION = 1,
    DESCRIPTION_BYTES_MAX = 1024 * 1024,
    DESCRIPTION_TYPE_DEPTH = 16, /* of list<list<…>> */
    DESCRIPTION_NAMES_MAX = 255, /* bytes of a name */
};

/* Appends the description. -ENOMEM, -EMSGSIZE. */
int description_write(const ferry_service *service, Buffer *to);

/*
 * Reads one that comes from a stranger. ret is a block that holds all of the tables; their C
 * structs are laid out here, and no program has them: values are for schema_pack() and
 * schema_unpack() alone.
 *
 * -EINVAL: reterr says what is wrong with it, and where; -EMSGSIZE; -ENOMEM.
 */
int description_read(Span bytes, ferry_service **ret, ferry_error *reterr);

/* "calc.Range" among the types of the service, or NULL. */
const ferry_type *description_type(const ferry_service *service, const char *name);
const ferry_method *description_method(const ferry_service *service, const char *name);

/* All named types that the service mentions, in the order they are met. Calls fn for each; stops
 * when it returns nonzero, and returns that. -ENOMEM. */
int description_each_type(const ferry_service *service,
                          int (*fn)(const ferry_type *type, void *ctx), void *ctx);

/* Appends the interface file that would give this description, documentation included: it can be
 * compiled again. -ENOMEM. */
int description_print(const ferry_service *service, Buffer *to);

/* "list<calc.Range>", at most size bytes; returns to. */
const char *description_type_text(const ferry_type *type, char *to, size_t size);
