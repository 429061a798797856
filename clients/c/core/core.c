/* SPDX-License-Identifier: Apache-2.0 */
/* The checks, reference count and parts of a connection, used by every file of the library. See
 * core.h. */

#include "clients/c/core/core.h"

#include "base/forks.h"

void core_watch_forks(Core *core) {
    core->forks = forks_watch();
}

bool core_is_of_parent(const Core *core) {
    return core->forks != forks_count();
}

int client_check(const ferry_client *client, ferry_error *reterr) {
    if (__builtin_expect(!client, 0))
        return error_set(reterr, "ferry.Misuse", "the client is NULL");
    if (__builtin_expect(core_is_of_parent(client->core), 0))
        return error_set(reterr, "ferry.Forked",
                         "the client was opened before fork(): open one in the child");
    if (__builtin_expect(client->closed || client->core->closed, 0))
        return error_set(reterr, "ferry.Cancelled", "the client is closed");
    return 0;
}

uint32_t client_timeout(const ferry_client *client, uint32_t method_ms, uint64_t now_ms) {
    uint32_t timeout_ms = client->timeout_ms ? client->timeout_ms : method_ms;
    uint64_t left_ms;

    if (client->deadline_ms == UINT64_MAX)
        return timeout_ms ? timeout_ms : TIMEOUT_MS;
    left_ms = client->deadline_ms > now_ms ? client->deadline_ms - now_ms : 0;
    return timeout_ms && timeout_ms < left_ms ? timeout_ms : (uint32_t)left_ms;
}

/* ---- owners ---- */

Core *core_ref(Core *core) {
    core->owners++;
    return core;
}

void core_unref(Core *core) {
    if (--core->owners == 0)
        core->free(core);
}

/* ---- parts ---- */

bool core_run_due(Core *core) {
    bool busy = false;

    for (size_t i = 0; i < core->n_parts; i++)
        if (core->parts[i]->run)
            busy |= core->parts[i]->run(core);
    return busy;
}

bool core_is_unconfirmed(const Core *core) {
    for (size_t i = 0; i < core->n_parts; i++)
        if (core->parts[i]->is_unconfirmed && core->parts[i]->is_unconfirmed(core))
            return true;
    return false;
}
