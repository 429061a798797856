/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The socket that the HTTP server listens on. */

#include <stdbool.h>

#include <ferry/ferry.h>

enum { ADDRESS_MAX = 80 };

/* A socket that listens already, from a service manager: the same rules as for listen_at()
 * apply. Takes ownership of fd, also on failure. */
int listen_on(int fd, bool is_guarded, char address_text[ADDRESS_MAX], ferry_error *reterr);

/* Listens on "127.0.0.1:5878", "[::1]:5878" or "localhost:5878"; with is_guarded also on addresses
 * other than loopback. Returns a descriptor, and writes the address with the actual port. */
int listen_at(const char *text, bool is_guarded, char address_text[ADDRESS_MAX],
              ferry_error *reterr);
