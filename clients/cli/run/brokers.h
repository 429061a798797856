/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Lists of all brokers: if the URL lists several, each is asked, and each row of the answer gets
 * the URL of its broker under "broker".
 */

#include "clients/cli/run/cli.h"

/* Calls a method of ferry.Broker, at each broker of the URL; name: its only argument, or NULL.
 * client is the one of cli_open(). Lists are joined, and other results become a list of one result
 * for each broker. Brokers that do not answer are noted, unless quiet, and left out. Returns the
 * exit status of the last broker if none has a result. */
int brokers_ask(Cli *cli, ferry_client *client, bool quiet, json_t **ret, const char *method,
                const char *name);

/* The sums of the numbers in a list of results, key by key; lists of numbers are added, too. The
 * uptime is that of the first broker. */
json_t *brokers_total(const json_t *results);

/* Closes the clients of the single brokers. */
void brokers_close(Cli *cli);
