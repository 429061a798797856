/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Turns the words of the command line into the arguments of a call: one MessagePack list. With a
 * description of the method, arguments are checked, completed and may be given by name; without
 * one, they are JSON values in order.
 */

#include <ferry/schema.h>

#include "base/buffer.h"
#include "clients/cli/run/cli.h"

/* Words are JSON, "@FILE" or "-"; if the method is described (method is not NULL), also
 * "NAME=VALUE" and texts without quotes. name is the name of the method, for messages. Fails with
 * ferry.InvalidArgument and the place of the error. */
int arguments_pack(char *const *words, int n, const char *name, const ferry_method *method,
                   Buffer *to, ferry_error *reterr);

/* Packs one item of a stream from a line of text; type NULL: not described. */
int arguments_item(ferry_bytes line, const ferry_type *type, Buffer *to, ferry_error *reterr);

/* Prints a template of the arguments of a described method. Returns an exit status. */
int arguments_template(Cli *cli, const ferry_method *method);
