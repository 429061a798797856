/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Headers as NUL-terminated texts, which are made when the program first reads one. */

#include "rpc/wire/message.h"

typedef struct HeaderText HeaderText;

/* Returns the bytes that header_text_init() needs. */
size_t header_text_size(Span headers);

/* Writes the texts into memory of that size, aligned like malloc()'s. */
HeaderText *header_text_init(void *memory, Span headers);

/* As header_text_init(), in new memory: free() it. NULL: out of memory. */
HeaderText *header_text_new(Span headers);

/* Returns the value of the header with this name, or NULL. */
const char *header_text_find(const HeaderText *text, const char *name);

/* Returns the name after this one, which must come from this function; NULL: the first name.
 * Returns NULL at the end. */
const char *header_text_after(const HeaderText *text, const char *name);
