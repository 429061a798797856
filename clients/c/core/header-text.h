/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Headers as NUL-terminated texts, made when the program first asks for one. */

#include "rpc/wire/message.h"

typedef struct HeaderText HeaderText;

/* Bytes that it takes. */
size_t header_text_size(Span headers);

/* Writes it into so many bytes, aligned as malloc aligns. */
HeaderText *header_text_init(void *memory, Span headers);

/* The same in memory of its own: free(). NULL: out of memory. */
HeaderText *header_text_new(Span headers);

/* NULL: there is not one of this name. */
const char *header_text_find(const HeaderText *text, const char *name);

/* The name behind this one (which came from here); NULL: the first. NULL: there are no more. */
const char *header_text_after(const HeaderText *text, const char *name);
