/* SPDX-License-Identifier: Apache-2.0 */
/* Base64. See base64.h. */

#include "clients/json/base64.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

char *base64_encode(const uint8_t *data, size_t len) {
    char *text = malloc((len + 2) / 3 * 4 + 1), *at = text;

    if (!text)
        return NULL;
    for (size_t i = 0; i < len; i += 3) {
        size_t n = len - i < 3 ? len - i : 3;
        uint32_t bits = (uint32_t)data[i] << 16;

        if (n > 1)
            bits |= (uint32_t)data[i + 1] << 8;
        if (n > 2)
            bits |= data[i + 2];
        *at++ = letters[bits >> 18];
        *at++ = letters[bits >> 12 & 63];
        *at++ = (char)(n > 1 ? letters[bits >> 6 & 63] : '=');
        *at++ = (char)(n > 2 ? letters[bits & 63] : '=');
    }
    *at = '\0';
    return text;
}

int base64_decode(const char *text, size_t len, uint8_t **ret, size_t *ret_len) {
    uint8_t *data, *at;
    uint32_t bits = 0;
    unsigned n_bits = 0;

    for (int i = 0; i < 2 && len > 0 && text[len - 1] == '='; i++)
        len--;
    if (len % 4 == 1)
        return -EINVAL;
    data = malloc(len / 4 * 3 + 3);
    if (!data)
        return -ENOMEM;
    at = data;
    for (size_t i = 0; i < len; i++) {
        const char *letter = text[i] ? strchr(letters, text[i]) : NULL;

        if (!letter) {
            free(data);
            return -EINVAL;
        }
        bits = bits << 6 | (uint32_t)(letter - letters);
        n_bits += 6;
        if (n_bits >= 8) {
            n_bits -= 8;
            *at++ = (uint8_t)(bits >> n_bits);
        }
    }
    *ret = data;
    *ret_len = (size_t)(at - data);
    return 0;
}
