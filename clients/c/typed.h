#pragma once

/* What both ends of typed calls share. */

#include <ferry/schema.h>

#include "base/buffer.h"
#include "clients/c/core.h"

enum { SCRATCH_KEPT = 64 * 1024 };

/* The core's own buffer, empty: for bytes that are copied on before anything else happens. It does
 * not stay as large as the largest body ever was. */
static inline Buffer *scratch(Core *core) {
    if (core->scratch.cap > SCRATCH_KEPT || core->scratch.failed)
        buffer_deinit(&core->scratch);
    buffer_reset(&core->scratch);
    return &core->scratch;
}
