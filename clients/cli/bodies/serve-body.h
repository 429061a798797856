/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Conversion between the MessagePack of a call and the input and output of a shell command. */

#include "base/buffer.h"
#include "clients/json/value.h"

typedef enum BodyFormat { BODY_TEXT, BODY_JSON, BODY_MSGPACK } BodyFormat;

BodyFormat body_format(const char *name); /* NULL: text */

/* The arguments as the command's input. -EINVAL: they are not MessagePack; -ENOMEM. */
int body_to_input(BodyFormat format, ferry_bytes args, Buffer *input);

/* Converts the command's output to a result. ferry.InvalidArgument: the output is not a value. */
int body_from_output(BodyFormat format, const Buffer *output, Buffer *packed, ferry_error *reterr);

/* The single argument, or the whole list when there is another number of arguments. Borrowed. */
ferry_bytes body_of_echo(ferry_bytes args);
