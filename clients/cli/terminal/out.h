/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Prints text that comes from others: names, errors, bodies. Characters that could control a
 * terminal, or make a text look like another one, are escaped. tests/lint finds prints of the other
 * rooms that do not use these functions.
 */

#include <stdarg.h>
#include <stdio.h>

#include <ferry/ferry.h>

/* As fprintf(), with the escapes of text_print_safe(). Out of memory: prints nothing. */
void out_format(FILE *to, const char *format, ...) __attribute__((format(printf, 2, 3)));
void out_formatv(FILE *to, const char *format, va_list args) __attribute__((format(printf, 2, 0)));

/* Data for programs, unchanged: bodies in a pipe, --raw, files. */
void out_raw(FILE *to, ferry_bytes data);
