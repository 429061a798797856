/* SPDX-License-Identifier: Apache-2.0 */
/* Commands to Redis without waiting. See batch.h. */

#include "cache/redis/batch.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/container.h"

enum { RETRY_NS = 2000000 }; /* interval of retries while a connection is not up */

/* ---- opening and closing ---- */

static int watch_own(Batches *batches, int fd) {
    struct epoll_event event = {.events = EPOLLIN};

    return fd < 0 || epoll_ctl(batches->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

int batches_init(Batches *batches, Redis *redis) {
    int r;

    *batches = (Batches){.redis = redis};
    batches->ready_end = &batches->ready;
    pthread_mutex_init(&batches->lock, NULL);
    batches->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    batches->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    batches->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (batches->epoll_fd < 0)
        return -errno;
    r = watch_own(batches, batches->event_fd);
    return r < 0 ? r : watch_own(batches, batches->timer_fd);
}

int batch_init(RedisBatch *batch, size_t n) {
    batch->commands = calloc(n, sizeof(RedisCommand));
    batch->n = batch->commands ? n : 0;
    return batch->commands ? 0 : -ENOMEM;
}

void batch_deinit(RedisBatch *batch) {
    for (size_t i = 0; i < batch->n; i++)
        reply_free(batch->commands[i].reply);
    free(batch->commands);
    batch->commands = NULL;
    batch->n = 0;
}

static void unlink_batch(Batches *batches, RedisBatch *batch) {
    *(batch->older ? &batch->older->newer : &batches->oldest) = batch->newer;
    *(batch->newer ? &batch->newer->older : &batches->newest) = batch->older;
    batch->running = false;
    batches->n--;
}

/* ---- the connections to watch: connections with unanswered commands ---- */

static BatchWatch *watch_of(Batches *batches, Node *node) {
    BatchWatch *more;

    for (size_t i = 0; i < batches->n_watches; i++)
        if (batches->watches[i].node == node)
            return &batches->watches[i];
    more = realloc(batches->watches, (batches->n_watches + 1) * sizeof(*more));
    if (!more)
        return NULL;
    batches->watches = more;
    more[batches->n_watches] = (BatchWatch){node, 0};
    return &more[batches->n_watches++];
}

static int owe(Batches *batches, Node *node) {
    BatchWatch *watch = watch_of(batches, node);
    int r = 0;

    if (!watch)
        return -ENOMEM;
    if (watch->n == 0)
        r = conn_watch(node->conn, batches->epoll_fd);
    if (r >= 0)
        watch->n++;
    return r;
}

static void await_one_less(Batches *batches, Node *node) {
    BatchWatch *watch = watch_of(batches, node); /* the watch exists already, so this cannot fail */

    if (--watch->n == 0)
        conn_unwatch(node->conn, batches->epoll_fd);
}

/* ---- commands ---- */

/* Any thread may call this, with the connection locked. */
static void answered(ConnRequest *request) {
    RedisCommand *command = container_of(request, RedisCommand, request);
    Batches *batches = ((RedisBatch *)command->owner)->batches;
    uint64_t one = 1;
    ssize_t n;

    pthread_mutex_lock(&batches->lock);
    command->next = NULL;
    *batches->ready_end = command;
    batches->ready_end = &command->next;
    n = write(batches->event_fd, &one, sizeof(one));
    pthread_mutex_unlock(&batches->lock);
    (void)n; /* write() fails only if the counter is full: the descriptor is then readable, too */
}

static int send_command(Batches *batches, RedisCommand *command) {
    static const Span asking = {(const uint8_t *)"ASKING", 6};
    Node *node = command->asking ? command->node : redis_route(batches->redis, command->route);
    int r;

    command->node = node;
    if (!node_admits(node, clock_ns()))
        return -ENOTCONN;
    r = owe(batches, node);
    if (r < 0)
        return r;
    command->tries++;
    command->sent_ns = clock_ns();
    command->request = (ConnRequest){.done = answered};
    conn_lock(node->conn);
    if (command->asking)
        r = conn_put_unanswered(node->conn, &asking, 1);
    if (r >= 0)
        r = conn_put(node->conn, command->args, command->n_args, &command->request);
    conn_flush(node->conn);
    conn_unlock(node->conn);
    if (r < 0)
        await_one_less(batches, node);
    return r;
}

static void settle(RedisBatch *batch, RedisCommand *command, int status) {
    command->pending = false;
    command->status = status;
    batch->left--;
}

static void end_if_done(Batches *batches, RedisBatch *batch) {
    if (batch->left > 0 || !batch->running)
        return;
    unlink_batch(batches, batch);
    batch->ended(batch, batch->ctx);
}

static void set_timer(Batches *batches) {
    struct itimerspec when = {.it_value = {0, 0}};
    uint64_t at = batches->oldest ? batches->oldest->deadline_ns : 0, now = clock_ns();

    for (size_t i = 0; i < batches->n_watches && at > 0; i++)
        if (batches->watches[i].n > 0 && !conn_state(batches->watches[i].node->conn).is_up &&
            now + RETRY_NS < at)
            at = now + RETRY_NS;
    when.it_value.tv_sec = (time_t)(at / 1000000000);
    when.it_value.tv_nsec = (long)(at % 1000000000);
    timerfd_settime(batches->timer_fd, TFD_TIMER_ABSTIME, &when, NULL);
}

static void set_out(Batches *batches) {
    /* No thread may be polling for a connection that does not exist yet. */
    for (size_t i = 0; i < batches->n_watches; i++)
        if (batches->watches[i].n > 0 && !conn_state(batches->watches[i].node->conn).is_up)
            conn_process(batches->watches[i].node->conn);
    set_timer(batches);
}

int batches_start(Batches *batches, RedisBatch *batch) {
    int status = -ENOTCONN;

    batch->batches = batches;
    batch->left = batch->n;
    for (size_t i = 0; i < batch->n; i++) {
        RedisCommand *command = &batch->commands[i];
        int r;

        command->owner = batch;
        command->pending = true;
        r = send_command(batches, command);
        if (r < 0) {
            settle(batch, command, r);
            status = r;
        }
    }
    if (batch->left == 0)
        return status;
    batch->running = true;
    batch->newer = NULL;
    batch->older = batches->newest;
    *(batch->older ? &batch->older->newer : &batches->oldest) = batch;
    batches->newest = batch;
    batches->n++;
    set_out(batches);
    return 0;
}

static void take(Batches *batches, RedisCommand *command) {
    RedisBatch *batch = command->owner;
    uint64_t now = clock_ns();
    bool answered_now = command->request.reply != NULL;
    int r;

    await_one_less(batches, command->node);
    if (answered_now)
        node_succeeded(command->node, 1, now - command->sent_ns);
    else if (command->request.status != -ECANCELED)
        node_failed(command->node, now);
    if (redis_take(batches->redis, command, now >= batch->deadline_ns)) {
        batch->left--;
    } else {
        r = send_command(batches, command);
        if (r < 0)
            settle(batch, command, r);
    }
    end_if_done(batches, batch);
}

static void take_ready(Batches *batches) {
    uint64_t ignored;
    RedisCommand *command, *next;

    pthread_mutex_lock(&batches->lock);
    command = batches->ready;
    batches->ready = NULL;
    batches->ready_end = &batches->ready;
    if (read(batches->event_fd, &ignored, sizeof(ignored)) < 0)
        ignored = 0;
    pthread_mutex_unlock(&batches->lock);
    for (; command; command = next) {
        next = command->next;
        take(batches, command);
    }
}

static void give_up(RedisBatch *batch, int status) {
    for (size_t i = 0; i < batch->n; i++)
        if (batch->commands[i].pending)
            conn_abandon(batch->commands[i].node->conn, &batch->commands[i].request, status);
}

/* ---- the loop ---- */

void batches_process(Batches *batches) {
    uint64_t ignored, now;

    if (!batches->redis)
        return;
    if (read(batches->timer_fd, &ignored, sizeof(ignored)) < 0)
        ignored = 0;
    for (size_t i = 0; i < batches->n_watches; i++)
        if (batches->watches[i].n > 0)
            conn_process(batches->watches[i].node->conn);
    take_ready(batches);
    now = clock_ns();
    for (RedisBatch *batch = batches->oldest; batch && batch->deadline_ns <= now;
         batch = batch->newer)
        give_up(batch, -ETIMEDOUT);
    take_ready(batches);
    redis_refresh_soon(batches->redis);
    set_timer(batches);
}

void batches_deinit(Batches *batches) {
    while (batches->oldest) {
        RedisBatch *batch = batches->oldest;

        /* No second try: an abandoned command stays abandoned. */
        batch->deadline_ns = 0;
        give_up(batch, -ECANCELED);
        take_ready(batches);
    }
    for (size_t i = 0; i < batches->n_watches; i++)
        if (batches->watches[i].n > 0)
            conn_unwatch(batches->watches[i].node->conn, batches->epoll_fd);
    free(batches->watches);
    if (batches->timer_fd >= 0)
        close(batches->timer_fd);
    if (batches->event_fd >= 0)
        close(batches->event_fd);
    if (batches->epoll_fd >= 0)
        close(batches->epoll_fd);
    pthread_mutex_destroy(&batches->lock);
}
