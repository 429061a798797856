/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Namespaces for tests: changes inside them affect only the test and end with it. */

#include <stdbool.h>

/* Prints the reason, and ends the test as skipped. */
void skip(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* Calls unshare(2) with these flags, as root or as root of a new user namespace. Skips the test if
 * the system does not allow it. Call it while there is one thread. */
void sandbox_enter(int flags);

/* False: errno has the reason. */
bool write_file(const char *path, const char *text);
