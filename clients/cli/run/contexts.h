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

/* Replaces the file as a whole; on failure the old file stays. Returns an exit status; the error
 * was reported. */
int contexts_write(Cli *cli, const json_t *contexts);

/* Finds a context by its name; NULL: there is no such context. */
json_t *contexts_find(const json_t *contexts, const char *name);

/* Copies the URL and the keys of the chosen context into the Cli. --context chooses it; else, if
 * neither --url nor $FERRY_URL is given, $FERRY_CONTEXT or `ferry context use` chooses it. Options
 * replace single values of the context. Returns an exit status; the error was reported. */
int contexts_apply(Cli *cli);
