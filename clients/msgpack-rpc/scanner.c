/* SPDX-License-Identifier: Apache-2.0 */
/* Ends of values in a stream. See scanner.h. */

#include "clients/msgpack-rpc/scanner.h"

#include <stdbool.h>

/* Returns the size of a head: the first byte, and the length behind it. */
static unsigned head_size(uint8_t first) {
    static const uint8_t sizes[] = {
        /* c0 */ 1,          1, 1, 1,
        /* bin */ 2,         3, 5,
        /* ext */ 2,         3, 5,
        /* ca: numbers */ 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
        /* d4: fixext */ 1,  1, 1, 1, 1,
        /* str */ 2,         3, 5,
        /* array */ 3,       5,
        /* map */ 3,         5,
    };

    return first < 0xC0 || first >= 0xE0 ? 1 : sizes[first - 0xC0];
}

static uint64_t length_in(const uint8_t *head, unsigned n) {
    uint64_t length = 0;

    for (unsigned i = 1; i < n; i++)
        length = length << 8 | head[i];
    return length;
}

/* The number of bytes or values after a head. */
typedef struct Follows {
    uint64_t bytes, values;
} Follows;

static Follows follows_of(const uint8_t *head, unsigned n) {
    static const uint8_t numbers[] = {4, 8, 1, 2, 4, 8, 1, 2, 4, 8};
    uint8_t first = head[0];
    uint64_t length = length_in(head, n);

    if (first < 0x80 || first >= 0xE0)
        return (Follows){0};
    if (first < 0x90)
        return (Follows){.values = 2 * (uint64_t)(first & 15)};
    if (first < 0xA0)
        return (Follows){.values = first & 15};
    if (first < 0xC0)
        return (Follows){.bytes = first & 31};
    if (first >= 0xDE)
        return (Follows){.values = 2 * length};
    if (first >= 0xDC)
        return (Follows){.values = length};
    if (first >= 0xD9)
        return (Follows){.bytes = length};
    if (first >= 0xD4)
        return (Follows){.bytes = (UINT64_C(1) << (first - 0xD4)) + 1};
    if (first >= 0xCA)
        return (Follows){.bytes = numbers[first - 0xCA]};
    if (first >= 0xC7)
        return (Follows){.bytes = length + 1};
    return (Follows){.bytes = first >= 0xC4 ? length : 0};
}

/* Call this when a value is complete: the containers around it may be complete, too. True: the
 * outermost value is complete. */
static bool close_value(RpcScanner *scanner) {
    while (scanner->depth > 0 && --scanner->left[scanner->depth - 1] == 0)
        scanner->depth--;
    return scanner->depth == 0;
}

/* The head of a value is complete. */
static ScanOutcome take_head(RpcScanner *scanner) {
    Follows follows = follows_of(scanner->head, scanner->n_head);

    scanner->n_head = 0;
    if (follows.values > 0) {
        if (scanner->depth == WIRE_DEPTH_MAX)
            return SCAN_BAD;
        scanner->left[scanner->depth++] = follows.values;
        return SCAN_MORE;
    }
    scanner->skip = follows.bytes;
    return scanner->skip == 0 && close_value(scanner) ? SCAN_VALUE : SCAN_MORE;
}

ScanOutcome scanner_feed(RpcScanner *scanner, const uint8_t *data, size_t len, size_t *ret_used) {
    size_t at = 0;
    ScanOutcome outcome = SCAN_MORE;

    while (outcome == SCAN_MORE && at < len) {
        if (scanner->skip > 0) {
            size_t n = scanner->skip < len - at ? (size_t)scanner->skip : len - at;

            at += n;
            scanner->skip -= n;
            if (scanner->skip == 0 && close_value(scanner))
                outcome = SCAN_VALUE;
            continue;
        }
        scanner->head[scanner->n_head++] = data[at++];
        if (scanner->head[0] == 0xC1)
            outcome = SCAN_BAD;
        else if (scanner->n_head == head_size(scanner->head[0]))
            outcome = take_head(scanner);
    }
    *ret_used = at;
    return outcome;
}
