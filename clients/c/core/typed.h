/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Buffers for both ends of typed calls. */

#include <ferry/schema.h>

#include "base/buffer.h"
#include "clients/c/core/core.h"

enum { SCRATCH_KEPT = 64 * 1024 };

/* Returns the core's buffer, emptied, for bytes that are copied immediately. A buffer above
 * SCRATCH_KEPT is freed first. */
static inline Buffer *scratch(Core *core) {
    if (core->scratch.cap > SCRATCH_KEPT || core->scratch.failed)
        buffer_deinit(&core->scratch);
    buffer_reset(&core->scratch);
    return &core->scratch;
}

/* Takes the buffer out of the core, for an item that may wait before it is sent. Return it with
 * scratch_give(). */
static inline Buffer scratch_take(Core *core) {
    Buffer mine = *scratch(core);

    core->scratch = (Buffer){0};
    return mine;
}

static inline void scratch_give(Core *core, Buffer *buffer) {
    buffer_deinit(&core->scratch);
    core->scratch = *buffer;
}
