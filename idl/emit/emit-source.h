/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Functions that the files of the source share. */

#include "idl/emit/emit.h"

static inline const char *text_of(const Buffer *buffer) {
    return buffer->data ? (const char *)buffer->data : "";
}

/* Writes documentation and annotations as a table. Returns "&div_notes", or "NULL" without any. */
const char *put_notes(Emit *emit, const char *stem, const char *doc, const Annotation *annotations);

/* Writes a field's row in the table of its struct or arguments. Its default goes to the source
 * first. */
void put_row(Emit *emit, Buffer *to, const char *local, const char *owner, const char *member,
             const char *flags, const Field *f);

const char *flags_of(const Definition *owner, const Field *field); /* "FERRY_OPTIONAL" */

/* Writes the functions that pack and unpack the usual values of a struct or, without an owner, of
 * arguments. c is the C type, fields are its fields. Returns the last two members of the type's
 * table. */
const char *put_codec(Emit *emit, const char *stem, const char *c, const Definition *owner,
                      const Field *fields);

void put_service_source(Emit *emit, const EmitService *s);
