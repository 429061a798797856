/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The options of a push or a forward, encoded for the wire. */

#include <ferry/queue.h>

#include "clients/c/core/core.h"

/* Encodes the options into scratch; *ret_options is their bytes. If the options have headers,
 * encodes them behind the options, together with the inherited *headers; *headers is then their
 * bytes. 0, -EINVAL, -ENOMEM. */
int push_options_write(Buffer *scratch, const ferry_push_options *options, Span *ret_options,
                       Span *headers, ferry_error *reterr);
