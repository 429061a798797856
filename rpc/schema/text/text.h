/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Converts between values that people write and values in messages, for tools that know an
 * interface only from its description. A value that a person wrote is MessagePack made from JSON or
 * from words of a command line. It may differ from a value in a message:
 *
 *     enum            a name, "ADD" or "Op.ADD", or the number
 *     uuid            text: "123e4567-e89b-12d3-a456-426614174000"
 *     binary          text: its UTF-8
 *     numbers, bool   text too: "42", "true"; for a double also "nan", "inf", "-inf"
 *     map             a map whose keys are texts, for all types of keys; or a list of [key, value]
 *     arguments       a list, in order; or a map, by name
 *
 * Unlike a receiver, a converter refuses unknown names, because they are typing mistakes.
 */

#include <ferry/schema.h>

#include "base/buffer.h"
#include "rpc/wire/reader.h"

/* Appends the checked value in the form for messages. The message of an error has a place and, if a
 * name is wrong, a suggestion. -EINVAL, -EMSGSIZE, -ENOMEM: the buffer is unchanged. */
int schema_convert(const ferry_type *type, Span loose, const char *root, Buffer *to,
                   ferry_error *reterr);

/* Appends the value for people. -EINVAL: the bytes are not a value of the type; -ENOMEM. */
int schema_format(const ferry_type *type, Span strict, const char *root, Buffer *to,
                  ferry_error *reterr);

/* Appends an example of the type with every field, for people to edit. -ENOMEM. */
int schema_example(const ferry_type *type, Buffer *to);
