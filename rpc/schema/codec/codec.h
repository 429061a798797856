/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Values in C to MessagePack and back, along the tables of ferry/schema.h. Structs are maps by
 * field name, arguments a list, unions a map of one, enums integers, uuids 16 bytes of bin.
 *
 * Everything is checked on the way: ranges, UTF-8, NULs, keys that are missing or there twice, sets
 * with equal elements, depth, and the memory that a value takes. Unknown keys are skipped; what is
 * missing takes its default, or is absent if it is optional.
 *
 * root is how messages call the whole: "args" in "args.range.low: expected i32, got str".
 */

#include <ferry/schema.h>

#include "base/buffer.h"
#include "rpc/schema/codec/arena.h"
#include "rpc/wire/reader.h"

/* Appends the value. -EINVAL, -ENOMEM, -EMSGSIZE; the buffer is then as it was. */
int schema_pack(const ferry_type *type, const void *value, const char *root, Buffer *to,
                ferry_error *reterr);

/* As ferry_value_unpack(): a scalar goes into *ret, anything else into a block that *ret receives.
 */
int schema_unpack(const ferry_type *type, Span bytes, const char *root, void *ret,
                  ferry_error *reterr);

/* Into a block that begins with the C value whatever the type is. */
int schema_unpack_block(const ferry_type *type, Span bytes, const char *root, void **ret,
                        ferry_error *reterr);

/*
 * The same with memory that is used again and again: *spare is what schema_spare() left there, or
 * NULL, and is NULL afterwards.
 */
int schema_unpack_in(void **spare, const ferry_type *type, Span bytes, const char *root, void *ret,
                     ferry_error *reterr);
int schema_unpack_block_in(void **spare, const ferry_type *type, Span bytes, const char *root,
                           void **ret, ferry_error *reterr);

/* In place of ferry_free() for what came out of these: keeps it in *spare for the next one, unless
 * there is one already, it is large, or somebody holds it still. */
void schema_spare(void **spare, const void *block);

/* Into a piece of an arena that has one already, and no more of it than arena->max. */
int schema_unpack_into(Arena *arena, const ferry_type *type, Span bytes, const char *root,
                       void **ret, ferry_error *reterr);
