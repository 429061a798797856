#pragma once

/*
 * The arguments of a call, from words of the command line to one MessagePack list. With a
 * description of the method they could be checked and named; without one they are JSON, in order.
 */

#include "base/buffer.h"
#include "clients/cli/cli.h"

/* Words: JSON, "@FILE", "-". method is for messages. ferry.InvalidArgument, and which one. */
int arguments_pack(char *const *words, int n, const char *method, Buffer *to, ferry_error *reterr);

/* Prints a skeleton of what the method takes. An exit status. */
int arguments_template(Cli *cli, ferry_client *client, const char *method);
