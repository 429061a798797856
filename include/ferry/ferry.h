/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ferry: call a remote procedure, publish to a topic, push a job down a pipeline.
 *
 * This header includes all others. Six rules hold for every function.
 *
 * 1. Results: functions return 0, or a negative errno, which error->code repeats. Functions named
 *    _next, _receive or _get return like read(2): 1 for an item, 0 for the end.
 *
 * 2. Memory in: a function copies its arguments before it returns, unless bytes.block is set.
 *
 * 3. Memory out: every pointer that ferry returns is one block, which ferry_free() frees. The
 *    arguments of a callback are lent: use ferry_keep() to keep one. Handles (client, subscription,
 *    stream, cache, pool) have a close function.
 *
 * 4. Threads: one thread at a time may use a client; open one client per thread. Any thread may
 *    call ferry_post(), ferry_stop() (in a signal handler too), all functions on blocks, and all
 *    functions on a cache. After fork(), functions in the child return -ECHILD.
 *
 * 5. Callbacks run inside ferry_run(), ferry_process() and ferry_close() of their client, on that
 *    thread, and never before the function that received the callback has returned. Each answer
 *    causes one call of the callback. If the function that received the callback failed, the
 *    callback is not called. ctx is the last argument.
 *
 * 6. A blocking call inside a callback waits only for its own answer. Other messages are deferred
 *    and delivered afterwards, so callbacks never nest.
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
