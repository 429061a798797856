/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A call with streams, the caller's end. */

#include "clients/c/calls/call.h"
#include "clients/c/core/flow.h"

/* Starts a call whose spec has CALL_STREAM_IN, CALL_STREAM_OUT or both among its flags. */
int stream_open(ferry_client *client, const CallSpec *spec, ferry_stream **ret,
                ferry_error *reterr);

/* The answer of a stream that the server has ended: waits for it, drops items that come before it.
 * Lent until the stream is closed. */
int stream_result(ferry_stream *stream, ferry_bytes *ret, ferry_error *reterr);

Core *stream_core(const ferry_stream *stream);

/* What stream-file.c keeps with a stream: at most one file that reads, and one that writes. */
typedef struct StreamFiles {
    const ferry_method *method; /* NULL: items are bytes as they are */
    bool readable, writable;    /* the method's directions */
    bool reads, writes;         /* a file is open that does */
    ferry_bytes item;           /* the part of an item that was not read yet */
    size_t n_read;              /* bytes of this item before it */
} StreamFiles;

StreamFiles *stream_files(ferry_stream *stream);

/* ---- for call.c and loop.c ---- */

void stream_sent(Core *core, ferry_stream *stream);
void stream_ended(Core *core, ferry_stream *stream, ferry_error *error); /* error is moved */

/* An ITEM for either end, into its flow; its bytes are copied or held. -ENOMEM. */
int stream_item(Core *core, Flow *flow, const Message *message, const void *block);

/* Calls the fn of those that were watched for. */
bool streams_run(Core *core);
bool streams_due(const Core *core);
