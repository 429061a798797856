/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Lists that are printed again and again: --watch. */

#include "clients/cli/run/cli.h"

#define OPTION_WATCH(type)                                                                         \
    OPTION_RANGE(OPTION_MS, 'w', "watch", type, watch_ms, "T",                                     \
                 "print the list again every T, until Ctrl-C", 100, 86400000)

/* Prints a list once (every_ms 0), or repeatedly: on a terminal in place of the previous one.
 * Returns an exit status. */
int watch(const Cli *cli, uint64_t every_ms, int (*print)(void *ctx), void *ctx);

/* ---- commands that only list ---- */

typedef struct ListValues {
    uint64_t watch_ms;
} ListValues;

extern const Option list_options[]; /* of a ListValues */

/* Prints the list of the command; name: its argument, or NULL. Returns an exit status. */
typedef int (*ListFn)(Cli *cli, ferry_client *client, const char *name);

/* Connects, and prints the list once or repeatedly. values: a ListValues. */
int watch_list(Cli *cli, const void *values, const char *name, ListFn fn);
