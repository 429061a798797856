/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What both ends of typed calls share. */

#include <ferry/schema.h>

#include "base/buffer.h"
#include "clients/c/core/core.h"

enum { SCRATCH_KEPT = 64 * 1024 };

/* The core's own buffer, empty: for bytes that are copied on before anything else happens. It does
 * not stay as large as the largest body ever was. */
static inline Buffer *scratch(Core *core) {
    if (core->scratch.cap > SCRATCH_KEPT || core->scratch.failed)
        buffer_deinit(&core->scratch);
    buffer_reset(&core->scratch);
    return &core->scratch;
}

/* The same for an item, whose sending may wait while much else is sent: the core is without it
 * until it is given back. */
static inline Buffer scratch_take(Core *core) {
    Buffer mine = *scratch(core);

    core->scratch = (Buffer){0};
    return mine;
}

static inline void scratch_give(Core *core, Buffer *buffer) {
    buffer_deinit(&core->scratch);
    core->scratch = *buffer;
}
