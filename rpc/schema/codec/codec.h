/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Values in C to MessagePack and back, along the tables of ferry/schema.h. Structs are maps by
 * field name, arguments a list, unions a map of one, enums integers, uuids 16 bytes of bin.
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

/* As ferry_value_unpack(): a scalar goes into *ret, anything else into a block that *ret receives.
 */
int schema_unpack(const ferry_type *type, Span bytes, const char *root, void *ret,
                  ferry_error *reterr);

/* Unpacks into a block that starts with the C value, for every type. */
int schema_unpack_block(const ferry_type *type, Span bytes, const char *root, void **ret,
                        ferry_error *reterr);

/*
 * The same with reused memory: *spare comes from schema_spare() or is NULL. It is NULL afterwards.
 */
int schema_unpack_in(void **spare, const ferry_type *type, Span bytes, const char *root, void *ret,
                     ferry_error *reterr);
int schema_unpack_block_in(void **spare, const ferry_type *type, Span bytes, const char *root,
                           void **ret, ferry_error *reterr);

/* Frees a block from these functions, or keeps it in *spare for the next one: if *spare is NULL,
 * the block is small, and it has no other owner. */
void schema_spare(void **spare, const void *block);

/* Unpacks into a piece of an arena that has a first piece. arena->max limits it. */
int schema_unpack_into(Arena *arena, const ferry_type *type, Span bytes, const char *root,
                       void **ret, ferry_error *reterr);
