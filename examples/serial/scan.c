/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the ends of MessagePack objects. See scan.h. */

#include "scan.h"

#include <stdlib.h>

void scan_deinit(Scan *scan) {
    free(scan->data);
    *scan = (Scan){0};
}

int scan_add(Scan *scan, ferry_bytes octets) {
    if (octets.len > scan->size - scan->len) {
        size_t size =
            scan->len + octets.len > 2 * scan->size ? scan->len + octets.len : 2 * scan->size;
        unsigned char *larger = realloc(scan->data, size);

        if (!larger)
            return -ENOMEM;
        scan->data = larger;
        scan->size = size;
    }
    if (octets.len > 0)
        memcpy(scan->data + scan->len, octets.data, octets.len);
    scan->len += octets.len;
    return 0;
}

static int fail(Scan *scan, int code) {
    scan->bad_offset = scan->offset + scan->at;
    scan->bad_octet = scan->at < scan->len ? scan->data[scan->at] : 0;
    return code;
}

/* A value is complete. Closes the containers around it that are complete, too. True: the object is
 * complete. */
static bool close_levels(Scan *scan) {
    while (scan->depth > 0 && --scan->left[scan->depth - 1] == 0)
        scan->depth--;
    return scan->depth == 0;
}

/* Takes one head. SCAN_OBJECT: the object is complete. */
static int take_head(Scan *scan) {
    Head head;
    int r = head_read(&head, scan->data + scan->at, scan->len - scan->at);
    bool holds, complete;

    if (r != 0)
        return r == HEAD_CUT ? SCAN_MORE : fail(scan, SCAN_GARBAGE);
    holds = head.kind == HEAD_ARRAY || head.kind == HEAD_MAP;
    if (holds && scan->depth == SERIAL_LEVELS)
        return fail(scan, SCAN_TOO_DEEP);
    if (scan->at + head.len + head.n > SERIAL_MAX_OCTETS)
        return fail(scan, SCAN_TOO_LARGE);
    scan->at += head.len;
    if (holds && head.n > 0) {
        scan->left[scan->depth++] = head.kind == HEAD_MAP ? 2 * head.n : head.n;
        return SCAN_MORE;
    }
    scan->skip = holds ? 0 : head.n;
    complete = scan->skip == 0 && close_levels(scan);
    return complete ? SCAN_OBJECT : SCAN_MORE;
}

int scan_next(Scan *scan) {
    for (;;) {
        size_t before = scan->at;
        int r;

        if (scan->skip > 0) {
            size_t n = scan->skip < scan->len - scan->at ? scan->skip : scan->len - scan->at;

            scan->at += n;
            scan->skip -= n;
            if (scan->skip > 0)
                return SCAN_MORE;
            if (close_levels(scan))
                return SCAN_OBJECT;
            continue;
        }
        r = take_head(scan);
        if (r != SCAN_MORE || scan->at == before)
            return r;
    }
}

void scan_drop(Scan *scan) {
    memmove(scan->data, scan->data + scan->at, scan->len - scan->at);
    scan->objects++;
    scan->offset += scan->at;
    scan->len -= scan->at;
    scan->at = 0;
}
