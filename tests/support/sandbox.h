/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Namespaces for tests: changes inside them affect only the test and end with it. */

#include <stdbool.h>

/* Prints why, and ends the test as skipped. */
void skip(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* unshare(2) with these flags, as root or as root of a user namespace of its own; skips the test
 * where the system does not let us. While there is one thread. */
void sandbox_enter(int flags);

/* false: errno says why. */
bool write_file(const char *path, const char *text);
