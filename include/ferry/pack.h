/*
 * Packing MessagePack, one value after another, into memory that the packer owns.
 *
 * Errors stick: write on, ask once at the end. A packer is used by one thread at a time.
 */
#ifndef FERRY_PACK_H
#define FERRY_PACK_H

#include <ferry/ferry.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifdef __GNUC__
#pragma GCC visibility push(default)
#endif

typedef struct ferry_packer ferry_packer;

/* NULL: out of memory. */
ferry_packer *ferry_packer_new(void);

/* Frees it and what it packed. NULL is fine. Returns NULL. */
ferry_packer *ferry_packer_close(ferry_packer *packer);

/* Empties it, errors included, and keeps its memory. */
void ferry_packer_reset(ferry_packer *packer);

/* Each packs one value in its shortest form. After an error they do nothing. */
void ferry_pack_nil(ferry_packer *packer);
void ferry_pack_bool(ferry_packer *packer, bool value);
void ferry_pack_int(ferry_packer *packer, int64_t value);
void ferry_pack_uint(ferry_packer *packer, uint64_t value);
void ferry_pack_double(ferry_packer *packer, double value);
void ferry_pack_str(ferry_packer *packer, const char *text); /* NUL-terminated UTF-8; NULL: nil */
void ferry_pack_bin(ferry_packer *packer, const void *data, size_t len);

/* The n values that follow are its elements; the n keys and values, alternating, its pairs. They
 * may be nested up to 32 deep. */
void ferry_pack_array(ferry_packer *packer, uint32_t n);
void ferry_pack_map(ferry_packer *packer, uint32_t n);

/* Puts bytes as they are: a value that is packed already. Counts as one value, whatever it holds.
 * It is not checked: a cache may hold bytes of any kind. */
void ferry_pack_raw(ferry_packer *packer, const void *data, size_t len);

/**
 * What is wrong so far.
 *
 * @return 0, or
 *   -ENOMEM    memory ran out;
 *   -EINVAL    a text is not UTF-8, or an array or map was left without all its elements;
 *   -EMSGSIZE  nested deeper than 32, or 4 GiB in one string.
 */
int ferry_packer_error(const ferry_packer *packer);

/* How many values were packed; an array or a map is one. */
uint64_t ferry_packer_count(const ferry_packer *packer);

/* What was packed; lent until the packer is used again. Empty when there is an error. */
ferry_bytes ferry_packer_bytes(const ferry_packer *packer);

#ifdef __GNUC__
static inline void ferry_packer_close_at(ferry_packer **packer) {
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
