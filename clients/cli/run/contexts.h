/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Contexts: names for a broker's URL together with the keys for it, in a JSON file:
 *
 *     {"current": "shop", "contexts": {"shop": {"url": "tcp://…", "key": "/…", "server_key": "…"}}}
 *
 * The file is $XDG_CONFIG_HOME/ferry/contexts.json, or ~/.config/ferry/contexts.json. It has paths
 * of key files, and no secret.
 */

#include "clients/cli/run/cli.h"

/* Reads the file; without one *ret is empty. Returns an exit status; the error was reported. */
int contexts_read(Cli *cli, json_t **ret);

/* Writes the file whole, or leaves the earlier one. Returns an exit status likewise. */
int contexts_write(Cli *cli, const json_t *contexts);

/* Finds a context by its name; NULL: no context has it. */
json_t *contexts_find(const json_t *contexts, const char *name);

/* Takes URL and keys of the context that this run uses into the Cli: that of --context, else, if
 * neither --url nor $FERRY_URL is given, that of $FERRY_CONTEXT or `ferry context use`. Options
 * replace single values of it. Returns an exit status likewise. */
int contexts_apply(Cli *cli);
