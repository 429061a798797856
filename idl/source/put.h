/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Appends formatted text to a buffer. */

#include "base/buffer.h"

void put(Buffer *to, const char *format, ...) __attribute__((format(printf, 2, 3), nonnull(2)));
void put_buffer(Buffer *to, const Buffer *from);
