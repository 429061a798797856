/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The options of a push or a forward, encoded for the wire. */

#include <ferry/queue.h>

#include "clients/c/core/core.h"

/* Encodes the options into scratch, and after them the headers if the options have headers;
 * *headers are the inherited headers, to which these are added. Both spans then point into scratch.
 * 0, -EINVAL, -ENOMEM. */
int push_options_write(Buffer *scratch, const ferry_push_options *options, Span *ret_options,
                       Span *headers, ferry_error *reterr);
