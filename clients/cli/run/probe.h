/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Identifies a program that answers in place of a broker. */

#include <stdbool.h>
#include <stddef.h>

/* Connects to a tcp URL, for half a second at most. True: another program answers there, and
 * problem says so. False: nothing answers, or the program speaks ZMTP, as a broker does. */
bool probe_finds_other(const char *url, char *problem, size_t size);
