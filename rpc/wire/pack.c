/* SPDX-License-Identifier: Apache-2.0 */
/* The public packer: writes values to its own buffer, and counts the values that its containers
 * still need. */

#include <ferry/pack.h>

#include <stdlib.h>

#include "base/text.h"
#include "rpc/wire/writer.h"

struct ferry_packer {
    Buffer bytes;
    int problem;    /* negative errno; 0: no error */
    uint64_t n;     /* values outside of any container */
    uint32_t depth; /* containers that are not complete */
    uint64_t left[WIRE_DEPTH_MAX];
};

ferry_packer *ferry_packer_new(void) {
    return calloc(1, sizeof(ferry_packer));
}

ferry_packer *ferry_packer_close(ferry_packer *packer) {
    if (!packer)
        return NULL;
    buffer_deinit(&packer->bytes);
    free(packer);
    return NULL;
}

void ferry_packer_reset(ferry_packer *packer) {
    buffer_reset(&packer->bytes);
    packer->problem = 0;
    packer->depth = 0;
    packer->n = 0;
}

/* Counts a value that was written. The last value of a container completes the container, which
 * then counts as a value of the container around it. */
static void count(ferry_packer *packer) {
    while (packer->depth > 0 && --packer->left[packer->depth - 1] == 0)
        packer->depth--;
    packer->n += packer->depth == 0;
}

void ferry_pack_nil(ferry_packer *packer) {
    if (packer->problem)
        return;
    write_nil(&packer->bytes);
    count(packer);
}

void ferry_pack_bool(ferry_packer *packer, bool value) {
    if (packer->problem)
        return;
    write_bool(&packer->bytes, value);
    count(packer);
}

void ferry_pack_int(ferry_packer *packer, int64_t value) {
    if (packer->problem)
        return;
    write_int(&packer->bytes, value);
    count(packer);
}

void ferry_pack_uint(ferry_packer *packer, uint64_t value) {
    if (packer->problem)
        return;
    write_uint(&packer->bytes, value);
    count(packer);
}

void ferry_pack_double(ferry_packer *packer, double value) {
    if (packer->problem)
        return;
    write_double(&packer->bytes, value);
    count(packer);
}

void ferry_pack_str(ferry_packer *packer, const char *text) {
    size_t len = text ? strlen(text) : 0;

    if (packer->problem)
        return;
    if (len > UINT32_MAX) {
        packer->problem = -EMSGSIZE;
    } else if (len > 0 && !text_is_utf8(text, len)) {
        packer->problem = -EINVAL;
    } else {
        write_text(&packer->bytes, text);
        count(packer);
    }
}

void ferry_pack_bin(ferry_packer *packer, const void *data, size_t len) {
    if (packer->problem)
        return;
    if (len > UINT32_MAX) {
        packer->problem = -EMSGSIZE;
        return;
    }
    write_bin(&packer->bytes, data, len);
    count(packer);
}

void ferry_pack_raw(ferry_packer *packer, const void *data, size_t len) {
    if (packer->problem)
        return;
    buffer_append(&packer->bytes, data, len);
    count(packer);
}

static void open_container(ferry_packer *packer, uint64_t n_values) {
    if (packer->depth == WIRE_DEPTH_MAX)
        packer->problem = -EMSGSIZE;
    else if (n_values == 0)
        count(packer);
    else
        packer->left[packer->depth++] = n_values;
}

void ferry_pack_array(ferry_packer *packer, uint32_t n) {
    if (packer->problem)
        return;
    write_array(&packer->bytes, n);
    open_container(packer, n);
}

void ferry_pack_map(ferry_packer *packer, uint32_t n) {
    if (packer->problem)
        return;
    write_map(&packer->bytes, n);
    open_container(packer, (uint64_t)n * 2);
}

int ferry_packer_error(const ferry_packer *packer) {
    if (packer->bytes.failed)
        return -ENOMEM;
    if (packer->problem)
        return packer->problem;
    return packer->depth > 0 ? -EINVAL : 0;
}

uint64_t ferry_packer_count(const ferry_packer *packer) {
    return packer->n;
}

ferry_bytes ferry_packer_bytes(const ferry_packer *packer) {
    if (ferry_packer_error(packer) < 0)
        return ferry_bytes_of(NULL, 0);
    return ferry_bytes_of(packer->bytes.data, packer->bytes.len);
}
