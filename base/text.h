/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Text that people read and write: escapes, sizes, times, and suggestions for mistyped words. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Copies at most 160 bytes of text from outside so that it can be logged or shown: control
 * characters, quotes and bytes that are not UTF-8 become \xNN; a longer text ends in an ellipsis.
 * Returns to, which must have TEXT_ESCAPED_MAX bytes. */
enum { TEXT_ESCAPED_MAX = 4 * 160 + 4 };
const char *text_escape(char *to, const void *text, size_t len);

/* Prints a whole text with the escapes of text_escape(). */
void text_print_escaped(FILE *to, const void *text, size_t len);

bool text_is_utf8(const void *text, size_t len);

/* "250ms", "5s", "2m", "1h", "1d", a bare number: seconds; fractions allowed. -EINVAL, -ERANGE. */
int text_parse_ms(const char *text, uint64_t *ret_ms);

/* "64K", "1.5M", "2G", a bare number: bytes. Powers of 1024. -EINVAL, -ERANGE. */
int text_parse_bytes(const char *text, uint64_t *ret_bytes);

/* "1.5 MiB" and "250 ms": for people. Return to. */
const char *text_format_bytes(char to[16], uint64_t bytes);
const char *text_format_ms(char to[24], uint64_t ms);

/* The candidate that is most similar to word, or NULL when no candidate is similar. */
const char *text_nearest(const char *word, const char *const *candidates, size_t n);
