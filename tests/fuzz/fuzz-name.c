/* SPDX-License-Identifier: Apache-2.0 */
/* Names and patterns: the input is used as both; valid ones must match by the rules. */

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "rpc/wire/name.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The rules of docs/PROTOCOL.md, section 3, written as simply as possible. */
static size_t tokens_of(const uint8_t *p, size_t len, const uint8_t *starts[], size_t lens[]) {
    size_t n = 0, start = 0;

    for (size_t i = 0; i <= len; i++)
        if (i == len || p[i] == '.') {
            starts[n] = p + start;
            lens[n++] = i - start;
            start = i + 1;
        }
    return n;
}

static bool plain_match(const uint8_t *pattern, size_t p_len, const uint8_t *name, size_t n_len) {
    const uint8_t *p[256], *n[256];
    size_t p_lens[256], n_lens[256];
    size_t n_p = tokens_of(pattern, p_len, p, p_lens), n_n = tokens_of(name, n_len, n, n_lens);

    for (size_t i = 0; i < n_p; i++) {
        if (p_lens[i] == 1 && p[i][0] == '>')
            return n_n > i;
        if (i >= n_n)
            return false;
        if (p_lens[i] == 1 && p[i][0] == '*')
            continue;
        if (p_lens[i] != n_lens[i] || memcmp(p[i], n[i], n_lens[i]) != 0)
            return false;
    }
    return n_p == n_n;
}

/* The input: a pattern, a zero byte, a name. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const uint8_t *zero = size ? memchr(data, 0, size) : NULL;
    size_t p_len = zero ? (size_t)(zero - data) : size;
    const uint8_t *name = zero ? zero + 1 : data;
    size_t n_len = zero ? size - p_len - 1 : size;
    bool pattern_ok = pattern_is_valid(data, p_len), name_ok = name_is_valid(name, n_len);

    if (name_is_valid(data, p_len) && (!pattern_ok || pattern_is_wild(data, p_len)))
        abort();
    if ((name_problem(name, n_len) == NULL) != name_ok)
        abort();
    if (name_ok && (n_len == 0 || n_len > NAME_MAX_LEN || !text_is_utf8(name, n_len) ||
                    memchr(name, '*', n_len) || memchr(name, ' ', n_len)))
        abort();
    if (pattern_ok && name_ok &&
        pattern_matches(data, p_len, name, n_len) != plain_match(data, p_len, name, n_len))
        abort();
    if (name_ok && !pattern_matches(name, n_len, name, n_len))
        abort();
    return 0;
}
