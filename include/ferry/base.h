/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vocabulary of all ferry headers: version, blocks, bytes, errors, headers, and the names of
 * the opaque types.
 */
#ifndef FERRY_BASE_H
#define FERRY_BASE_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifdef __GNUC__
#pragma GCC visibility push(default)
#endif

#define FERRY_VERSION_MAJOR 0
#define FERRY_VERSION_MINOR 1
#define FERRY_VERSION_PATCH 0
#define FERRY_VERSION       "0.1.0"

/* Opaque types. The header named beside each type documents it. */
typedef struct ferry_client ferry_client;             /* <ferry/client.h> */
typedef struct ferry_stream ferry_stream;             /* <ferry/call.h> */
typedef struct ferry_service ferry_service;           /* <ferry/schema.h> */
typedef struct ferry_registration ferry_registration; /* <ferry/client.h> */
typedef struct ferry_cache ferry_cache;               /* <ferry/cache.h> */
typedef struct ferry_packer ferry_packer;             /* <ferry/pack.h> */
typedef struct ferry_error_detail ferry_error_detail; /* inside a ferry_error */

/**
 * Returns the version of the library at run time, for example "0.1.0". It may be newer than this
 * header.
 *
 * Ownership: the text is static. Threads: any.
 */
const char *ferry_version(void);

/* ---- blocks ---- */

/**
 * Allocates a block that can be filled and then sent without a copy: see ferry_shared().
 *
 * @param size  Bytes; 0 is allowed.
 *
 * Ownership: the caller owns the block and frees it with ferry_free(). Threads: any.
 *
 * @return the memory, aligned as malloc() aligns, not zeroed; NULL: out of memory.
 */
void *ferry_alloc(size_t size);

/**
 * Adds an owner to a block, so that it lives longer.
 *
 * Use the pointer that it returns. If the block is a message, reply, job or request lent to a
 * callback, the function copies it together with its body if the body is small: keeping a body of
 * 64 bytes costs 64 bytes and the fields around it, and does not keep the batch in which it
 * arrived. A large body is shared. A copy can be read, but not answered or settled.
 *
 * @param block  A block that ferry returned or lent; NULL is allowed.
 *
 * Ownership: call ferry_free() once for each ferry_keep(). Threads: any; for a block lent to a
 * callback, only inside that callback.
 *
 * @return the block to use from now on; NULL: out of memory, or block is NULL.
 */
const void *ferry_keep(const void *block);

/**
 * Removes an owner from a block. The last owner frees it. A block that is only lent stays
 * unchanged.
 *
 * @param block  A block that ferry or ferry_keep() returned; NULL is allowed.
 *
 * Threads: any.
 *
 * @return NULL, always: `p = ferry_free(p);`
 */
void *ferry_free(const void *block);

/* ---- bytes ---- */

/* A piece of memory. A function that gets it as an argument copies it before it returns, unless
 * block is set. In a callback it is lent together with the message, job or request that contains
 * it. */
typedef struct ferry_bytes {
    const void *data;
    size_t len;
    /* The block that contains data, which is then shared; NULL: data is copied. */
    const void *block;
} ferry_bytes;

/* Bytes in the caller's memory. data may be NULL only when len is 0. Threads: any. */
static inline ferry_bytes ferry_bytes_of(const void *data, size_t len) {
    ferry_bytes bytes = {data, len, NULL};
    return bytes;
}

/* The bytes of a text, without its NUL. Threads: any. */
static inline ferry_bytes ferry_str(const char *text) {
    return ferry_bytes_of(text, strlen(text));
}

/* The first len bytes of a block of ferry_alloc(), which are sent without a copy. Do not write to
 * the block afterwards. Threads: any. */
static inline ferry_bytes ferry_shared(const void *block, size_t len) {
    ferry_bytes bytes = {block, len, block};
    return bytes;
}

/**
 * Makes a block of memory from another source (mmap, a pool), which can then be sent without a
 * copy.
 *
 * The memory must stay unchanged until free_fn is called.
 *
 * @param data     The memory; NULL only when len is 0.
 * @param len      Its size in bytes.
 * @param free_fn  Called once, after the last owner has freed the block, on ANY thread. It frees
 *                 the memory and must not call ferry. NULL: the memory needs no freeing.
 * @param ctx      The argument of free_fn.
 * @param ret      Receives the bytes.
 *
 * Ownership: the caller owns ret->block and frees it with ferry_free(). Threads: any.
 *
 * @return 0, or
 *   -EINVAL  ret is NULL, or data is NULL and len is not 0;
 *   -ENOMEM  out of memory: free_fn will not be called.
 */
int ferry_wrap(const void *data, size_t len, void (*free_fn)(void *ctx), void *ctx,
               ferry_bytes *ret);

/* ---- names ---- */

/**
 * Explains why a name is not valid: "a name has no spaces".
 *
 * The same rule holds for services, instances, topics, queues and groups: a name has 1 to 255 bytes
 * of UTF-8, in tokens separated by dots. A token has at least one byte, and contains no control
 * character, space, '*' or '>'.
 *
 * @param name  NUL-terminated; NULL is not valid.
 *
 * Ownership: the text is static. Threads: any.
 *
 * @return NULL: the name is valid.
 */
const char *ferry_name_problem(const char *name);

/* ---- headers of calls, messages and jobs ---- */

/* A name and a value, both UTF-8. Each name occurs once in a call, message or job. A call, message
 * or job has at most 64 headers with 16 KiB in total. Otherwise the function returns -EINVAL. */
typedef struct ferry_header {
    const char *name;
    const char *value;
} ferry_header;

/* ---- errors ---- */

/* Why a function failed. Every function that takes a ferry_error accepts NULL for it. */
typedef struct ferry_error {
    int code; /* the result of the function: a negative errno; 0: no error */
    /* The request was sent but not answered, so it may have been carried out. */
    bool outcome_unknown;
    const char *type;    /* "ferry.DeadlineExceeded", "calc.DivisionByZero"; NULL: no error */
    const char *message; /* for people; not NULL if type is set */
    ferry_error_detail *detail;
} ferry_error;

/* The initial value of a ferry_error. A function that fails clears the previous error in the
 * variable, so the variable can be used again without a leak. */
#define FERRY_ERROR_INIT                                                                           \
    { 0, false, NULL, NULL, NULL }

/* Frees the memory of the error and sets it to FERRY_ERROR_INIT. NULL is allowed. Threads: one at a
 * time. */
void ferry_error_clear(ferry_error *error);

/* The accessors below accept NULL. Returned pointers are lent until the error is cleared. Threads:
 * any, while no thread changes or clears the error. */

/* The error that led to this one; NULL: there is no earlier one. */
const ferry_error *ferry_error_cause(const ferry_error *error);

/* The method and process that failed: "calc.Calc.div on host/4711". NULL: unknown. */
const char *ferry_error_origin(const ferry_error *error);

/* The server's advice: milliseconds to wait before the next attempt; -1: no advice. */
int64_t ferry_error_retry_ms(const ferry_error *error);

/* Line n of the trace, from 0: "div at calc.c:12". Line 0 is the place where the error was thrown.
 * NULL: the trace has no line n. */
const char *ferry_error_trace(const ferry_error *error, size_t n);

/* The fields of a declared exception, as one MessagePack map. If the error has no fields, len is 0.
 * Generated code unpacks them: calc_division_by_zero_in(). */
ferry_bytes ferry_error_data(const ferry_error *error);

/* Writes message, origin, trace and causes, one line each. Without an error it writes nothing. to
 * must not be NULL. */
void ferry_error_print(const ferry_error *error, FILE *to);

/* ---- cleanup at the end of a block: FERRY_AUTO(ferry_close) ferry_client *client = NULL; ---- */

#ifdef __GNUC__
#define FERRY_AUTO(free_fn) __attribute__((__cleanup__(free_fn##_auto)))

static inline void ferry_free_auto(void *block) {
    ferry_free(*(void **)block);
}

static inline void ferry_error_clear_auto(ferry_error *error) {
    ferry_error_clear(error);
}
#endif

#ifdef __GNUC__
#pragma GCC visibility pop
#endif

#ifdef __cplusplus
}
#endif

#endif
