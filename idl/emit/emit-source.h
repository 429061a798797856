#pragma once

/* What the files that write the source share. */

#include "idl/emit/emit.h"

static inline const char *text_of(const Buffer *buffer) {
    return buffer->data ? (const char *)buffer->data : "";
}

/* The table of what is said about something: "&div_notes", or "NULL" when nothing is. */
const char *put_notes(Emit *emit, const char *stem, const char *doc, const Annotation *annotations);

/* A field's row in the table of its struct, or of a method's arguments; its default goes in front.
 */
void put_row(Emit *emit, Buffer *to, const char *local, const char *owner, const char *member,
             const char *flags, const Field *f);

const char *flags_of(const Definition *owner, const Field *field); /* "FERRY_OPTIONAL" */

void put_service_source(Emit *emit, const EmitService *s);
