/* SPDX-License-Identifier: Apache-2.0 */
/* C from a checked file: the header and the source. See emit.h. */

#include "idl/emit/emit.h"

static void reset(Emit *emit) {
    buffer_deinit(&emit->header);
    buffer_deinit(&emit->source);
    buffer_deinit(&emit->declarations);
    for (Container *c = emit->containers; c; c = c->next)
        c->declared = c->has_entry = false;
    names_deinit(&emit->own);
}

/* Writes both files twice. The first pass finds the names of all tables, which parameters must not
 * hide, and the containers that need a table. */
void emit_files(Emit *emit) {
    emit_header(emit);
    emit_source(emit);
    if (emit->program->reports.n_errors > 0)
        return;
    emit->n_values = 0;
    emit->hidden = emit->own;
    emit->own.taken = NULL;
    reset(emit);
    emit_header(emit);
    emit_source(emit);
}

void emit_deinit(Emit *emit) {
    emit_names_deinit(emit);
    buffer_deinit(&emit->header);
    buffer_deinit(&emit->source);
    buffer_deinit(&emit->declarations);
}
