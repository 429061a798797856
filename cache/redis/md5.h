/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* MD5 (RFC 1321), because ketama places keys with it. Not for security. */

#include <stddef.h>
#include <stdint.h>

void md5(const void *data, size_t len, uint8_t ret[16]);
