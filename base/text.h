/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Text that people read and write: escapes, sizes, times, and suggestions for mistyped words. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Copies at most 160 bytes of text from outside in a form that is safe to log and to show: control
 * characters, marks that change the direction of text, quotes and bytes that are not UTF-8 become
 * \xNN; a longer text ends in an ellipsis. Returns to, which must have TEXT_ESCAPED_MAX bytes. */
enum { TEXT_ESCAPED_MAX = 4 * 160 + 4 };
const char *text_escape(char *to, const void *text, size_t len);

/* Prints a whole text with the escapes of text_escape(). */
void text_print_escaped(FILE *to, const void *text, size_t len);

/* The length of text without an incomplete UTF-8 character at its end. */
size_t text_whole_len(const void *text, size_t len);

/* Prints a message that contains text from outside. Like text_print_escaped(), but keeps tabs, line
 * ends, quotes and backslashes. */
void text_print_safe(FILE *to, const void *text, size_t len);

/* Like text_print_safe(), into size bytes; a longer text is cut. Returns to. */
const char *text_copy_safe(char *to, size_t size, const char *text);

/* True if text_print_safe() prints the text unchanged. */
bool text_is_safe(const void *text, size_t len);

/* Copies a URL for a message like text_escape(), with *** in place of user and password. Returns
 * to, which must have TEXT_ESCAPED_MAX bytes. */
const char *text_escape_url(char *to, const char *url);

/* Overwrites a URL with a login, which was read from the arguments or the environment: ps and core
 * dumps show both. */
void text_hide_login(char *url);

bool text_is_utf8(const void *text, size_t len);

/* Reads a number that consists of digits only, without a sign or spaces. *ret is set on success.
 * -EINVAL; -ERANGE: the number does not fit into 64 bits. */
int text_parse_count(const char *text, uint64_t *ret);

/* Reads a time: "250ms", "5s", "2m", "1h", "1d"; a number without a unit means seconds; fractions
 * are allowed. -EINVAL, -ERANGE. */
int text_parse_ms(const char *text, uint64_t *ret_ms);

/* Reads a time of the wall clock, in ms since 1970: "2026-11-30T18:00", also with seconds, with "Z"
 * or "+01:00", or with a space in place of T; or "18:00", the next time of that name after now_ms.
 * Without an offset the time is UTC. -EINVAL. */
int text_parse_time(const char *text, uint64_t now_ms, uint64_t *ret_ms);

/* Reads a size: "64K", "1.5M", "2G"; a number without a unit means bytes. The units are powers of
 * 1024. -EINVAL, -ERANGE. */
int text_parse_bytes(const char *text, uint64_t *ret_bytes);

/* Write "1.5 MiB" and "250 ms", for people. Return to. */
const char *text_format_bytes(char to[16], uint64_t bytes);
const char *text_format_ms(char to[24], uint64_t ms);

/* The candidate that is most similar to word, or NULL when no candidate is similar. */
const char *text_nearest(const char *word, const char *const *candidates, size_t n);

/* For texts that are copied into one piece of memory: the bytes of a text with its NUL (NULL: 0),
 * and its copy at *at, which moves behind it (NULL stays NULL). */
size_t text_size(const char *text);
char *text_put(char **at, const char *text);
