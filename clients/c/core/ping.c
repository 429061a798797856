/* SPDX-License-Identifier: Apache-2.0 */
/* ferry_ping(), and the version of the library. */

#include "clients/c/core/ping.h"

#include "clients/c/core/loop.h"
#include "clients/c/core/session.h"

typedef struct Ping {
    Await await;
    bool done, lost;
} Ping;

static void on_pong(Core *core, Await *await, const Message *message, const void *block) {
    Ping *ping = (Ping *)await;

    (void)core, (void)block;
    ping->lost = !message;
    ping->done = true;
}

int core_ping(Core *core, uint64_t until_ms, uint32_t timeout_ms, ferry_error *reterr) {
    Ping ping = {.await = {.fn = on_pong, .session_only = true, .at_close = true}};
    int r;

    ping.await.id = (*core->next_id)++;
    r = await_put(core, &ping.await);
    if (r == 0)
        r = link_put(core->link, LANE_CONTROL, &(Message){.op = OP_PING, .id = ping.await.id},
                     NULL);
    if (r < 0) {
        await_take(core, &ping.await);
        return error_set_code(reterr, r, NULL);
    }
    r = core_wait(core, &ping.done, until_ms);
    await_take(core, &ping.await);
    if (r < 0)
        return error_set(reterr, "ferry.DeadlineExceeded",
                         "the broker did not answer the ping within %u ms", timeout_ms);
    if (ping.lost)
        return error_set(reterr, "ferry.ConnectionLost",
                         "the connection was lost before the broker answered the ping");
    return 0;
}

int ferry_ping(ferry_client *client, uint64_t *ret_us, ferry_error *reterr) {
    uint64_t now_ms = clock_ms(), until_ms, sent_ns;
    uint32_t timeout_ms;
    Core *core;
    int r = client_check(client, reterr);

    if (r < 0)
        return r;
    core = client->core;
    timeout_ms = client_timeout(client, 0, now_ms);
    until_ms = now_ms + timeout_ms;
    r = session_await(client, client->wait_for_broker ? UINT64_MAX : until_ms, reterr);
    if (r < 0)
        return r;
    if (client->wait_for_broker)
        until_ms = clock_ms() + timeout_ms;
    sent_ns = clock_ns();
    r = core_ping(core, until_ms, timeout_ms, reterr);
    if (r == 0 && ret_us)
        *ret_us = (clock_ns() - sent_ns) / 1000;
    return r;
}

const char *ferry_version(void) {
    return FERRY_VERSION;
}
