/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Calls of methods that yield items: the answer is a stream of server-sent events. */

#include "clients/web/gateway/items.h"

/* Calls a method that yields items, and answers the request with events: item, …, then end or
 * problem. Takes the items for the method. */
void item_stream_start(HttpRequest *request, const ItemCallOptions *options, ItemQueue *in);

/* Ends the streams whose server has sent nothing for their time limit. Call this each second. */
void item_streams_tick(Web *web, uint64_t now_ms);
