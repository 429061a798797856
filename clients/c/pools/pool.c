/* SPDX-License-Identifier: Apache-2.0 */
/* Opens, stops and closes pools. See ferry/pool.h. */

#include "clients/c/pools/pool.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/error.h"
#include "base/text.h"
#include "clients/c/core/core.h"

static unsigned count_processors(void) {
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof(set), &set) < 0 || CPU_COUNT(&set) < 1)
        return 1;
    return (unsigned)CPU_COUNT(&set);
}

/* ---- options: copied, with all their strings, headers and the interceptor ---- */

static int copy_options(ferry_pool *pool, const ferry_pool_options *options) {
    const ferry_options none = {.name = NULL}, *client = options->client ? options->client : &none;
    size_t n = client->headers ? client->n_headers : 0;
    size_t size = n * sizeof(ferry_header) + text_size(options->url) + text_size(client->name) +
                  text_size(client->instance) + text_size(client->key_file) +
                  text_size(client->server_key);
    ferry_header *headers;
    char *at;

    for (size_t i = 0; i < n; i++)
        size += text_size(client->headers[i].name) + text_size(client->headers[i].value);
    pool->texts = malloc(size + 1);
    if (!pool->texts)
        return -ENOMEM;
    headers = (ferry_header *)(void *)pool->texts;
    at = (char *)(headers + n);
    for (size_t i = 0; i < n; i++) {
        headers[i].name = text_put(&at, client->headers[i].name);
        headers[i].value = text_put(&at, client->headers[i].value);
    }
    pool->url = text_put(&at, options->url);
    pool->client = *client;
    pool->client.name = text_put(&at, client->name);
    pool->client.instance = text_put(&at, client->instance);
    pool->client.key_file = text_put(&at, client->key_file);
    pool->client.server_key = text_put(&at, client->server_key);
    if (client->interceptor) {
        pool->interceptor = *client->interceptor;
        pool->client.interceptor = &pool->interceptor;
    }
    if (n > 0)
        pool->client.headers = headers;
    return 0;
}

/* ---- life ---- */

int ferry_pool_open(const ferry_pool_options *options, ferry_pool **ret, ferry_error *reterr) {
    static const ferry_pool_options none;
    ferry_pool *pool;
    int r;

    if (!ret)
        return error_set(reterr, "ferry.Misuse", "ret is NULL");
    if (!options)
        options = &none;
    r = reserved_check(options->reserved, sizeof(options->reserved) / sizeof(uint64_t), reterr);
    if (r < 0)
        return r;
    if (options->n > POOL_MEMBERS_MAX)
        return error_set(reterr, "ferry.Misuse", "n is %u: a pool has at most %d members",
                         options->n, POOL_MEMBERS_MAX);
    pool = calloc(1, sizeof(*pool));
    if (!pool)
        return error_set_code(reterr, -ENOMEM, NULL);
    r = copy_options(pool, options);
    pool->event_fd = r < 0 ? -1 : eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (pool->event_fd < 0) {
        r = error_set_code(reterr, r < 0 ? r : -errno, NULL);
        free(pool->texts);
        free(pool);
        return r;
    }
    pool->on_exit = options->on_exit;
    pool->ctx = options->ctx;
    pool->n = options->n ? options->n : count_processors();
    pool->stop_ms = options->stop_ms ? options->stop_ms : POOL_STOP_MS;
    *ret = pool;
    return 0;
}

ferry_pool *ferry_pool_close(ferry_pool *pool) {
    if (!pool)
        return NULL;
    pool_outlive_stoppers(pool);
    close(pool->event_fd);
    free(pool->texts);
    free(pool);
    return NULL;
}

int ferry_pool_stop(ferry_pool *pool) {
    ferry_client *own;

    if (!pool)
        return -EINVAL;
    __atomic_add_fetch(&pool->stoppers, 1, __ATOMIC_SEQ_CST);
    __atomic_add_fetch(&pool->stops, 1, __ATOMIC_ACQ_REL);
    /* The descriptor belongs to the parent. In a child, stop only the client of the child. */
    if (!__atomic_load_n(&pool->is_child, __ATOMIC_ACQUIRE))
        pool_wake(pool);
    else if ((own = __atomic_load_n(&pool->own, __ATOMIC_SEQ_CST)))
        ferry_stop(own);
    __atomic_sub_fetch(&pool->stoppers, 1, __ATOMIC_ACQ_REL);
    return 0;
}

void pool_outlive_stoppers(ferry_pool *pool) {
    while (__atomic_load_n(&pool->stoppers, __ATOMIC_SEQ_CST) > 0)
        sched_yield();
}

/* ---- for both kinds ---- */

int pool_begin(ferry_pool *pool, ferry_member_fn set_up, ferry_error *reterr) {
    if (!pool || !set_up)
        return error_set(reterr, "ferry.Misuse", "the pool or its set_up is NULL");
    if (__atomic_exchange_n(&pool->runs, true, __ATOMIC_ACQ_REL)) {
        error_set(reterr, "ferry.Misuse", "the pool is running already");
        if (reterr)
            reterr->code = -EBUSY;
        return -EBUSY;
    }
    return 0;
}

void pool_end(ferry_pool *pool) {
    pool_woken(pool);
    __atomic_store_n(&pool->stops, 0, __ATOMIC_RELEASE);
    __atomic_store_n(&pool->runs, false, __ATOMIC_RELEASE);
}

void pool_wake(ferry_pool *pool) {
    int saved = errno;
    ssize_t n = write(pool->event_fd, &(uint64_t){1}, sizeof(uint64_t));

    /* write() fails only if the counter is full. The descriptor is then readable, too. */
    (void)n;
    errno = saved;
}

void pool_woken(ferry_pool *pool) {
    uint64_t count;
    ssize_t n = read(pool->event_fd, &count, sizeof(count));

    (void)n;
}

uint64_t pool_pause_ms(unsigned *failures, uint64_t lived_ms) {
    uint64_t pause_ms;

    if (lived_ms >= POOL_SETTLED_MS) {
        *failures = 0;
        return 0;
    }
    pause_ms = *failures < 8 ? (uint64_t)POOL_PAUSE_MS << *failures : POOL_PAUSE_MAX_MS;
    ++*failures;
    return pause_ms < POOL_PAUSE_MAX_MS ? pause_ms : POOL_PAUSE_MAX_MS;
}
