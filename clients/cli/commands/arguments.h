#pragma once

/*
 * The arguments of a call, from words of the command line to one MessagePack list. With a
 * description of the method they are checked, completed and may be named; without one they are
 * JSON, in order.
 */

#include <ferry/schema.h>

#include "base/buffer.h"
#include "clients/cli/run/cli.h"

/* Words: JSON, "@FILE", "-"; of a method that is described (else NULL) also "NAME=VALUE", and texts
 * without quotes. name is the method's, for messages. ferry.InvalidArgument, with the place. */
int arguments_pack(char *const *words, int n, const char *name, const ferry_method *method,
                   Buffer *to, ferry_error *reterr);

/* One item of a stream, from a line of text; type NULL: not described. */
int arguments_item(ferry_bytes line, const ferry_type *type, Buffer *to, ferry_error *reterr);

/* Prints a skeleton of what the method, which is described, takes. An exit status. */
int arguments_template(Cli *cli, const ferry_method *method);
