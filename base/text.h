/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Text that people read and write: escapes, sizes, times, and suggestions for mistyped words. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Copies at most 160 bytes of text from outside so that it can be logged or shown: control
 * characters, marks that change the direction of text, quotes and bytes that are not UTF-8 become
 * \xNN; a longer text ends in an ellipsis. Returns to, which must have TEXT_ESCAPED_MAX bytes. */
enum { TEXT_ESCAPED_MAX = 4 * 160 + 4 };
const char *text_escape(char *to, const void *text, size_t len);

/* Prints a whole text with the escapes of text_escape(). */
void text_print_escaped(FILE *to, const void *text, size_t len);

/* The length of text without a UTF-8 character at its end that is not complete. */
size_t text_whole_len(const void *text, size_t len);

/* Prints a whole message, parts of which come from outside: as text_print_escaped(), but tabs, line
 * ends, quotes and backslashes stay. */
void text_print_safe(FILE *to, const void *text, size_t len);

/* As text_print_safe(), into size bytes: what does not fit is cut. Returns to. */
const char *text_copy_safe(char *to, size_t size, const char *text);

/* True if text_print_safe() prints the text unchanged. */
bool text_is_safe(const void *text, size_t len);

/* Copies a URL for a message as text_escape() does, with *** in place of user and password. Returns
 * to, which must have TEXT_ESCAPED_MAX bytes. */
const char *text_escape_url(char *to, const char *url);

bool text_is_utf8(const void *text, size_t len);

/* Digits alone, without a sign or spaces. *ret is set on success. -EINVAL, -ERANGE: does not fit 64
 * bits. */
int text_parse_count(const char *text, uint64_t *ret);

/* "250ms", "5s", "2m", "1h", "1d", a bare number: seconds; fractions allowed. -EINVAL, -ERANGE. */
int text_parse_ms(const char *text, uint64_t *ret_ms);

/* A time of the wall clock, in ms since 1970: "2026-11-30T18:00", also with seconds and with "Z",
 * "+01:00" or a space in place of T; or "18:00", the next one after now_ms. Without an offset the
 * time is UTC. -EINVAL. */
int text_parse_time(const char *text, uint64_t now_ms, uint64_t *ret_ms);

/* "64K", "1.5M", "2G", a bare number: bytes. Powers of 1024. -EINVAL, -ERANGE. */
int text_parse_bytes(const char *text, uint64_t *ret_bytes);

/* "1.5 MiB" and "250 ms": for people. Return to. */
const char *text_format_bytes(char to[16], uint64_t bytes);
const char *text_format_ms(char to[24], uint64_t ms);

/* The candidate that is most similar to word, or NULL when no candidate is similar. */
const char *text_nearest(const char *word, const char *const *candidates, size_t n);
