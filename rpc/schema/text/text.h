#pragma once

/*
 * Values as people write them, to values as the wire has them, and back: for tools that know an
 * interface from its description alone. What people write comes as MessagePack made from JSON or
 * from words of a command line; the differences are:
 *
 *     enum      a name, "ADD" or "Op.ADD", as well as the number
 *     uuid      text: "123e4567-e89b-12d3-a456-426614174000"
 *     binary    text: its UTF-8
 *     numbers, bool   text too: "42", "true"; doubles also "nan", "inf", "-inf"
 *     map       its keys are text, whatever their type; or a list of [key, value]
 *     arguments in order, as a list, or by name, as a map
 *
 * Unlike a receiver, a converter refuses what the interface does not know: it is a typing mistake.
 */

#include <ferry/schema.h>

#include "base/buffer.h"
#include "rpc/wire/reader.h"

/* Appends the value for the wire, checked: what is refused here is refused with its place and, for
 * names, with what was meant. -EINVAL, -EMSGSIZE, -ENOMEM; the buffer is then as it was. */
int schema_convert(const ferry_type *type, Span loose, const char *root, Buffer *to,
                   ferry_error *reterr);

/* Appends the value for people. The bytes must be the type's: -EINVAL. -ENOMEM. */
int schema_format(const ferry_type *type, Span strict, const char *root, Buffer *to,
                  ferry_error *reterr);

/* Appends an example of the type for people to fill in: every field is there. -ENOMEM. */
int schema_example(const ferry_type *type, Buffer *to);
