/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MessagePack without generated code: packing values one after another, and unpacking a value by a
 * format.
 *
 * Formats, here and in ferry_callf():
 *
 *     b bool (int)   i int32_t   l int64_t   u uint64_t   d double   s string, UTF-8
 *     y ferry_bytes  n nil       [..] list   {s.s.} map with strings as keys
 */
#ifndef FERRY_PACK_H
#define FERRY_PACK_H

#include <ferry/base.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifdef __GNUC__
#pragma GCC visibility push(default)
#endif

/* ---- packing ----
 *
 * A packer owns the memory it packs into. After an error it stays in error: pack all values, then
 * check ferry_packer_error() once. Threads: one at a time per packer. */

/* Makes an empty packer, to be freed with ferry_packer_close(). NULL: out of memory. Threads:
 * any. */
ferry_packer *ferry_packer_new(void);

/* Frees the packer and its packed values. NULL is allowed. Returns NULL. */
ferry_packer *ferry_packer_close(ferry_packer *packer);

/* Empties the packer, clears its error, and keeps its memory for the next values. */
void ferry_packer_reset(ferry_packer *packer);

/* Each function packs one value in its shortest form. After an error they do nothing. */
void ferry_pack_nil(ferry_packer *packer);
void ferry_pack_bool(ferry_packer *packer, bool value);
void ferry_pack_int(ferry_packer *packer, int64_t value);
void ferry_pack_uint(ferry_packer *packer, uint64_t value);
void ferry_pack_double(ferry_packer *packer, double value);
void ferry_pack_str(ferry_packer *packer, const char *text); /* NUL-terminated UTF-8; NULL: nil */
void ferry_pack_bin(ferry_packer *packer, const void *data, size_t len);

/* Begin an array of n elements, or a map of n pairs. The values packed next are the elements, or
 * the keys and values in turn. At most 32 levels deep. */
void ferry_pack_array(ferry_packer *packer, uint32_t n);
void ferry_pack_map(ferry_packer *packer, uint32_t n);

/* Copies bytes that already are one packed value. They count as one value and are not checked,
 * because a cache may store bytes of any kind. */
void ferry_pack_raw(ferry_packer *packer, const void *data, size_t len);

/**
 * Returns the first error of the packer.
 *
 * @return 0, or
 *   -ENOMEM    out of memory;
 *   -EINVAL    a text is not UTF-8, or the last array or map lacks elements;
 *   -EMSGSIZE  the values are nested deeper than 32 levels, or a string has 4 GiB or more.
 */
int ferry_packer_error(const ferry_packer *packer);

/* The number of values packed so far; an array or a map counts as one. */
uint64_t ferry_packer_count(const ferry_packer *packer);

/* The packed bytes, lent until the packer is used again. Empty when there is an error. */
ferry_bytes ferry_packer_bytes(const ferry_packer *packer);

/* ---- unpacking ---- */

/**
 * Unpacks one MessagePack value: `ferry_unpack(reply->body, &error, "[is]", &n, &text)`.
 *
 * The arguments are pointers: int * for b, int32_t * for i, int64_t * for l, uint64_t * for u,
 * double * for d, char ** for s, ferry_bytes * for y; n has no argument. NULL skips a value.
 *
 * A string is one block, to be freed with ferry_free(). A string that contains a NUL is refused.
 * Bytes are lent together with body. A list must have as many elements as its format. In a map the
 * keys are arguments, as in "{sisd}", "low", &low, "step", &step. They may be in any order in the
 * map, and other keys are skipped. A format of several values, such as "ii", reads a list, for
 * example the arguments of a call.
 *
 * Threads: any.
 *
 * @return 0, or
 *   -EINVAL  the format is invalid;
 *   -EPROTO  body is a different value: reterr has the expected type and the place. Values before
 *            that place are already stored;
 *   -ENOMEM  out of memory.
 */
int ferry_unpack(ferry_bytes body, ferry_error *reterr, const char *format, ...);

#ifdef __GNUC__
static inline void ferry_packer_close_auto(ferry_packer **packer) {
    ferry_packer_close(*packer);
}
#endif

#ifdef __GNUC__
#pragma GCC visibility pop
#endif

#ifdef __cplusplus
}
#endif

#endif
