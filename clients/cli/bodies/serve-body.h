#pragma once

/* Between the MessagePack of a call and what a shell command reads and writes. */

#include "base/buffer.h"
#include "clients/cli/json/value.h"

typedef enum BodyFormat { BODY_TEXT, BODY_JSON, BODY_MSGPACK } BodyFormat;

BodyFormat body_format(const char *name); /* NULL: text */

/* The arguments as the command's input. -EINVAL: they are not MessagePack; -ENOMEM. */
int body_to_input(BodyFormat format, ferry_bytes args, Buffer *input);

/* The command's output as a result. ferry.InvalidArgument where it is no value. */
int body_from_output(BodyFormat format, const Buffer *output, Buffer *packed, ferry_error *reterr);

/* The one argument, or the list of them when there are more or none. Lent. */
ferry_bytes body_of_echo(ferry_bytes args);
