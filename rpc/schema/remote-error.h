/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Converts between a ferry_error and the error map in messages: {"type", "message", "data",
 * "origin", "trace", "cause", "retry"}.
 *
 * type is mandatory. data is a MessagePack value in bin (the fields of a
 * declared exception), trace a list of strings, cause an error map again, retry milliseconds.
 * Unknown keys are skipped.
 */

#include "base/buffer.h"
#include "base/error.h"
#include "rpc/wire/limits.h"
#include "rpc/wire/reader.h"

enum {
    REMOTE_ERROR_DEPTH_MAX = 16, /* an error and its causes */
    REMOTE_ERROR_TRACE_MAX = 64, /* lines of one trace; further lines are left out */
};

/*
 * Appends the map: at most WIRE_ERROR_BYTES. A larger error loses its least important parts first:
 * data and traces of the causes, the causes, the trace, the data; then the texts are cut. Bytes
 * that are not UTF-8 are replaced.
 *
 * Returns 0, or -ENOMEM.
 */
int remote_error_write(Buffer *to, const ferry_error *error);

/*
 * Fills reterr from the map and returns its code, which is never 0. If the map is malformed, longer
 * than WIRE_ERROR_BYTES, or has more causes than REMOTE_ERROR_DEPTH_MAX, the error becomes
 * ferry.Protocol.
 */
int remote_error_read(Span bytes, ferry_error *reterr);
