/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Calls of methods with streams. Items from a request are a body of application/x-ndjson: its first
 * line has the arguments, each other line an item. All items are checked before the call begins.
 */

#include "base/buffer.h"
#include "clients/web/core/core.h"

enum { ITEMS_BYTES_MAX = 8 * 1024 * 1024 }; /* packed, of one request; above this, 413 */

/* Items that wait to be sent. */
typedef struct ItemQueue {
    Buffer packed; /* of each item its length, a uint32_t, and its MessagePack value */
    size_t at;     /* of the first item that is not sent */
    bool is_ended; /* the server knows that no item follows */
} ItemQueue;

/* The first line of the body; *ret_rest: the lines after it. Both are lent. */
ferry_bytes items_first_line(ferry_bytes body, ferry_bytes *ret_rest);

/* Packs a line for each item of the type; empty lines are left out. -EINVAL: the error has the
 * line, counted from the first line of the body; -EMSGSIZE, -ENOMEM. */
int items_pack(const ferry_type *type, ferry_bytes lines, ItemQueue *items, ferry_error *reterr);

/* Sends the items that the stream has room for, and its end after the last item. The stream is
 * watched. */
void items_send(ItemQueue *items, ferry_stream *stream);

void items_deinit(ItemQueue *items);

/* A call of a method with a stream. */
typedef struct ItemCallOptions {
    const ferry_description *description;
    const ferry_method *method;
    const char *name;     /* "calc.Calc.sum" */
    ferry_bytes args;     /* lent */
    ferry_client *handle; /* for the stream; the callee closes it */
    uint32_t timeout_ms;  /* longest silence of the server, checked each second; 0: not given */
    bool text_integers;
} ItemCallOptions;

/* ---- uploads.c ---- */

/* Calls a method that takes items and yields none, and answers the request with its result. Takes
 * the items. Without a time limit: 30 s. */
void upload_start(HttpRequest *request, const ItemCallOptions *options, ItemQueue *items);

/* Ends uploads whose time is over. Call this each second. */
void uploads_tick(Web *web, uint64_t now_ms);

/* Answers all requests with an error. Call this before the client is closed. */
void uploads_end(Web *web);
