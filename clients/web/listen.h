/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The socket that the HTTP server listens on. */

#include <stdbool.h>

#include <ferry/ferry.h>

enum { ADDRESS_MAX = 80 };

/* A socket that listens already, from a service manager: the same rules apply. Takes fd, also when
 * it fails. */
int listen_on(int fd, bool is_guarded, char address_text[ADDRESS_MAX], ferry_error *reterr);

/* Listens on "127.0.0.1:5878", "[::1]:5878" or "localhost:5878"; is_guarded: on other addresses
 * than loopback, too. Returns a descriptor, and writes the address with its real port. */
int listen_at(const char *text, bool is_guarded, char address_text[ADDRESS_MAX],
              ferry_error *reterr);
