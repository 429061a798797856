#pragma once

/* The options of a push as the map that the wire has; also of a forward. */

#include "clients/c/core/core.h"

/* Sets message->options and ->headers, which point into scratch. -EINVAL, -ENOMEM. */
int push_options_write(Buffer *scratch, Span inherited, const ferry_push_options *options,
                       Message *message, ferry_error *reterr);
