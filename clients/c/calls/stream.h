/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The caller's end of a call with streams. */

#include "clients/c/calls/call.h"
#include "clients/c/core/flow.h"

/* Starts a call whose spec has CALL_STREAM_IN, CALL_STREAM_OUT or both among its flags. */
int stream_open(ferry_client *client, const CallSpec *spec, ferry_stream **ret,
                ferry_error *reterr);

/* Waits for the answer of the call and drops the items that arrive before it. *ret is borrowed
 * until the stream is closed. */
int stream_result(ferry_stream *stream, ferry_bytes *ret, ferry_error *reterr);

Core *stream_core(const ferry_stream *stream);

/* The state of stream-file.c: at most one file that reads and one that writes. */
typedef struct StreamFiles {
    const ferry_method *method; /* NULL: items are plain bytes */
    bool readable, writable;    /* the method's directions */
    bool reads, writes;         /* a file is open for reading, for writing */
    ferry_bytes item;           /* the unread part of an item */
    size_t n_read;              /* bytes of this item that were read */
} StreamFiles;

StreamFiles *stream_files(ferry_stream *stream);

/* Adds an ITEM to the flow of either end: copies the bytes, or holds a reference to their block. 0,
 * -ENOMEM; -EPROTO: it came without credit. */
int stream_item(Core *core, Flow *flow, const Message *message, const void *block);

extern const Part streams_part; /* calls fn of each watched stream that is due */
