/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ferry: call a remote procedure, publish to a topic, push a job down a pipeline.
 *
 * This header includes all others. Six rules hold for every function.
 *
 * 1. Results: 0, or a negative errno, repeated in error->code. Functions named _next, _receive or
 *    _get return as read(2) does: 1 for an item, 0 for the end.
 *
 * 2. Memory in: arguments are copied before the function returns, unless bytes.block is set.
 *
 * 3. Memory out: every pointer that ferry hands out is one block. ferry_free() frees it. The
 *    arguments of a callback are lent: ferry_keep() to keep one. Handles (client, subscription,
 *    stream, cache, pool) have a close function.
 *
 * 4. Threads: a client is used by one thread at a time; open one client per thread. Callable from
 *    any thread: ferry_post(), ferry_stop() (in a signal handler too), everything on blocks, and
 *    everything on a cache. After fork() the child gets -ECHILD.
 *
 * 5. Callbacks run inside ferry_run(), ferry_process() and ferry_close() of their client, on that
 *    thread, and never before the function that took them has returned. One answer means one call
 *    of the callback. If the function that took the callback failed, the callback is not called.
 *    ctx is the last argument.
 *
 * 6. A blocking call inside a callback waits for its own answer only. Other messages are deferred
 *    and delivered afterwards: callbacks never nest.
 */
#ifndef FERRY_FERRY_H
#define FERRY_FERRY_H

#include <ferry/base.h>
#include <ferry/cache.h>
#include <ferry/call.h>
#include <ferry/client.h>
#include <ferry/pack.h>
#include <ferry/pool.h>
#include <ferry/queue.h>
#include <ferry/schema.h>
#include <ferry/serve.h>
#include <ferry/topic.h>

#endif
