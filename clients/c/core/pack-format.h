/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The formats of ferry_callf() and ferry_unpack(): see ferry.h. */

#include <stdarg.h>

#include <ferry/base.h>

#include "base/buffer.h"

/* Packs the arguments that the format describes, as one list. 0, -EINVAL, -ENOMEM. */
int format_pack(Buffer *to, const char *format, va_list args, ferry_error *reterr);

/* Unpacks one value into the variables that the arguments point to. 0; -EINVAL: the format is
 * malformed; -EPROTO: the value does not fit the format; -ENOMEM. */
int format_unpack(ferry_bytes body, const char *format, va_list args, ferry_error *reterr);
