/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Base64 (RFC 4648, section 4), for bytes in JSON. */

#include <stddef.h>
#include <stdint.h>

/* Returns a NUL-terminated text; free() it. NULL: out of memory. */
char *base64_encode(const uint8_t *data, size_t len);

/* free() *ret. Padding is optional. -EINVAL, -ENOMEM. */
int base64_decode(const char *text, size_t len, uint8_t **ret, size_t *ret_len);
