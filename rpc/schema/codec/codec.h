/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Converts values in C to MessagePack and back, by the tables of ferry/schema.h. Structs are maps
 * by field name, arguments are a list, unions a map with one key, enums integers, uuids a bin of 16
 * bytes.
 *
 * The codec checks ranges, UTF-8, NULs, missing and repeated keys, equal elements of sets, depth,
 * and the memory of a value. It skips unknown keys. A missing field gets its default, or is absent
 * if it is optional.
 *
 * root names the whole value in messages: "args" in "args.range.low: expected i32, got str".
 */

#include <ferry/schema.h>

#include "base/buffer.h"
#include "rpc/schema/codec/arena.h"
#include "rpc/wire/reader.h"

/* Appends the value. -EINVAL, -ENOMEM, -EMSGSIZE: the buffer is unchanged. */
int schema_pack(const ferry_type *type, const void *value, const char *root, Buffer *to,
                ferry_error *reterr);

/* Like ferry_value_unpack(): *ret receives a scalar, or a block with any other value. */
int schema_unpack(const ferry_type *type, Span bytes, const char *root, void *ret,
                  ferry_error *reterr);

/* Unpacks into a block that starts with the C value, for every type. */
int schema_unpack_block(const ferry_type *type, Span bytes, const char *root, void **ret,
                        ferry_error *reterr);

/*
 * Like schema_unpack(), but reuses the memory in *spare, which comes from schema_spare() or is
 * NULL. *spare is NULL afterwards.
 */
int schema_unpack_in(void **spare, const ferry_type *type, Span bytes, const char *root, void *ret,
                     ferry_error *reterr);
int schema_unpack_block_in(void **spare, const ferry_type *type, Span bytes, const char *root,
                           void **ret, ferry_error *reterr);

/* Frees a block of these functions. If *spare is NULL, and the block is small and has no other
 * owner, keeps it in *spare for reuse instead. */
void schema_spare(void **spare, const void *block);

/* Unpacks into a piece of an arena that has a first piece. arena->max limits it. */
int schema_unpack_into(Arena *arena, const ferry_type *type, Span bytes, const char *root,
                       void **ret, ferry_error *reterr);
