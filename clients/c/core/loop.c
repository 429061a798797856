/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Turns: all callbacks run in a turn. ferry_run() starts turns, or the program's own loop does,
 * when the client's descriptor is readable. Posts from other threads make it readable, too.
 */

#include "clients/c/core/loop.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "clients/c/core/flow.h"
#include "clients/c/core/session.h"

struct Post {
    Post *next;
    void (*fn)(void *ctx);
    void *ctx;
};

int loop_init(Core *core) {
    pthread_mutex_t *lock = malloc(sizeof(*lock));

    if (!lock)
        return -ENOMEM;
    pthread_mutex_init(lock, NULL);
    core->wakeup.lock = lock;
    core->wakeup.timer_at_ms = UINT64_MAX;
    core->wakeup.event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    core->wakeup.wait_fd = core->wakeup.event_fd;
    return core->wakeup.event_fd < 0 ? -errno : 0;
}

int core_watch(Core *core, int fd) {
    struct epoll_event event = {.events = EPOLLIN, .data.fd = core->wakeup.event_fd};
    int epoll_fd = core->wakeup.wait_fd;

    if (epoll_fd == core->wakeup.event_fd) {
        epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        if (epoll_fd < 0)
            return -errno;
        if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, core->wakeup.event_fd, &event) < 0) {
            int r = -errno;

            close(epoll_fd);
            return r;
        }
        core->wakeup.wait_fd = epoll_fd;
    }
    event.data.fd = fd;
    return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

/* ---- posts ---- */

/* Safe in signal handlers. */
static void wake(Core *core) {
    int saved = errno;
    ssize_t n = write(core->wakeup.event_fd, &(uint64_t){1}, sizeof(uint64_t));

    /* write() fails only if the counter is full. The descriptor is then readable, too. */
    (void)n;
    errno = saved;
}

void core_visit(Core *core) {
    __atomic_add_fetch(&core->wakeup.visitors, 1, __ATOMIC_ACQ_REL);
}

void core_wake_and_leave(Core *core) {
    __atomic_store_n(&core->wakeup.woken, true, __ATOMIC_RELEASE);
    wake(core);
    __atomic_sub_fetch(&core->wakeup.visitors, 1, __ATOMIC_ACQ_REL);
}

static Post *take_posts(Core *core) {
    Post *posts;

    pthread_mutex_lock(core->wakeup.lock);
    posts = core->wakeup.posts;
    core->wakeup.posts = core->wakeup.last_post = NULL;
    pthread_mutex_unlock(core->wakeup.lock);
    return posts;
}

static bool run_posts(Core *core) {
    Post *post, *next;

    if (!__atomic_load_n(&core->wakeup.posts, __ATOMIC_ACQUIRE))
        return false;
    for (post = take_posts(core); post; post = next) {
        next = post->next;
        post->fn(post->ctx);
        free(post);
    }
    return true;
}

int ferry_post(ferry_client *client, void (*fn)(void *ctx), void *ctx) {
    Core *core;
    Post *post;

    if (!client || !fn)
        return -EINVAL;
    core = client->core;
    /* In a child process the lock may be held for ever, by a thread that exists only in the parent.
     */
    if (core_is_of_parent(core))
        return -ECHILD;
    post = malloc(sizeof(*post));
    if (!post)
        return -ENOMEM;
    *post = (Post){NULL, fn, ctx};
    core_visit(core);
    pthread_mutex_lock(core->wakeup.lock);
    if (core->wakeup.last_post)
        core->wakeup.last_post->next = post;
    else
        __atomic_store_n(&core->wakeup.posts, post, __ATOMIC_RELEASE);
    core->wakeup.last_post = post;
    pthread_mutex_unlock(core->wakeup.lock);
    core_wake_and_leave(core);
    return 0;
}

void loop_deinit(Core *core) {
    while (__atomic_load_n(&core->wakeup.visitors, __ATOMIC_ACQUIRE) > 0)
        sched_yield();
    if (core->wakeup.lock) {
        for (Post *post = core->wakeup.posts, *next; post; post = next) {
            next = post->next;
            free(post);
        }
        pthread_mutex_destroy(core->wakeup.lock);
        free(core->wakeup.lock);
    }
    if (core->wakeup.wait_fd != core->wakeup.event_fd && core->wakeup.wait_fd >= 0)
        close(core->wakeup.wait_fd);
    if (core->wakeup.event_fd >= 0)
        close(core->wakeup.event_fd);
    if (core->wakeup.timer_fd >= 0)
        close(core->wakeup.timer_fd);
}

/* ---- sending ---- */

static void flush_parts(Core *core, uint64_t now_ms) {
    for (size_t i = 0; i < core->n_parts; i++)
        if (core->parts[i]->flush)
            core->parts[i]->flush(core, now_ms);
}

static void flush(Core *core) {
    if (core->is_up) {
        unsent_pump(core);
        for (size_t i = 0; i < core->n_parts; i++)
            if (core->parts[i]->pump)
                core->parts[i]->pump(core);
    }
    link_flush(core->link);
    if (core->full_flows && link_has_room(core->link))
        flows_wake_full(&core->full_flows);
    core->unflushed = link_waiting(core->link);
    flush_parts(core, clock_about_ms());
}

void core_sent(Core *core) {
    if (core->turns == 0 && core->corks == 0 && !core->loop_mode) {
        link_flush(core->link);
        flush_parts(core, 0);
        return;
    }
    /* In a long turn, full batches leave at once. Messages of a handler that may compute for long
     * leave at once, too: peers wait for its progress. */
    if (link_waiting(core->link) > core->unflushed + FLUSH_AT || core->handler_is_long ||
        (core->turns > 0 && clock_about_ms() > core->now_ms + LONG_TURN_MS))
        flush(core);
    if (core->turns == 0 && core->loop_mode)
        core_raise(core);
}

void ferry_cork(ferry_client *client) {
    if (client_check(client, NULL) == 0)
        client->core->corks++;
}

int ferry_uncork(ferry_client *client, ferry_error *reterr) {
    int r = client_check(client, reterr);

    if (r < 0)
        return r;
    if (client->core->corks == 0)
        return error_set(reterr, "ferry.Misuse",
                         "ferry_uncork() was called more often than ferry_cork()");
    if (--client->core->corks == 0) {
        client->core->unflushed = 0;
        core_sent(client->core);
    }
    return 0;
}

/* ---- waiting ---- */

/* True: callbacks wait for a turn. */
static bool is_due(const Core *core) {
    if (core->deferred.records.first || core->events.first)
        return true;
    for (size_t i = 0; i < core->n_parts; i++)
        if (core->parts[i]->is_due && core->parts[i]->is_due(core))
            return true;
    return false;
}

/* True: a blocking call waits for answers that come through members. In turns the members have
 * turns of their own. */
static bool drives_members(const Core *core) {
    return core->waits > 0 && core->n_carried > 0;
}

/* Reads from all connections. Returns the number of messages. */
static int process(Core *core, uint64_t now_ms) {
    int n = link_process(core->link, TURN_MESSAGES, now_ms);

    for (unsigned i = 0; i < core->n_members && drives_members(core); i++)
        core_poll(core->members[i]);
    for (size_t i = 0; i < core->n_parts; i++)
        if (core->parts[i]->process)
            n += core->parts[i]->process(core, now_ms);
    return n;
}

static bool has_input(const Core *core) {
    for (size_t i = 0; i < core->n_parts; i++)
        if (core->parts[i]->has_input && core->parts[i]->has_input(core))
            return true;
    return link_has_input(core->link);
}

/* The latest time for the next process() of all parts except the broker's link. */
static uint64_t parts_next_ms(const Core *core) {
    uint64_t next_ms = UINT64_MAX;

    for (size_t i = 0; i < core->n_parts; i++) {
        uint64_t at_ms = core->parts[i]->next_ms ? core->parts[i]->next_ms(core) : UINT64_MAX;

        next_ms = at_ms < next_ms ? at_ms : next_ms;
    }
    return next_ms;
}

/* Sleeps until a connection or the descriptor has input, or until until_ms. */
static void sleep_until(Core *core, int fd, uint64_t until_ms) {
    Link *links[LINK_WAIT_MAX] = {core->link, core->others.hot};
    uint64_t next_ms = parts_next_ms(core);
    unsigned n = 2;

    if (has_input(core))
        return;
    for (unsigned i = 0; i < core->n_members && drives_members(core); i++) {
        uint64_t timer_ms = timers_next(&core->members[i]->timers);

        links[n++] = core->members[i]->link;
        next_ms = timer_ms < next_ms ? timer_ms : next_ms;
    }
    link_wait(links, n, fd, next_ms < until_ms ? next_ms : until_ms);
}

/* In loop mode: makes the descriptor readable when there is work, and sets the timer for later
 * work. Input that is already in memory, or that libzmq reports only once, does not make the
 * descriptor readable, so check for it here. */
static void settle(Core *core) {
    uint64_t next_ms, timer_ms = timers_next(&core->timers);
    struct itimerspec at = {0};

    if (!core->loop_mode || core->turns > 0 || core->closed)
        return;
    if (core->wakeup.posts || is_due(core) || has_input(core)) {
        core_raise(core);
        return;
    }
    next_ms = parts_next_ms(core);
    if (link_next_ms(core->link) < next_ms)
        next_ms = link_next_ms(core->link);
    next_ms = timer_ms < next_ms ? timer_ms : next_ms;
    /* Keep an earlier timer: it costs one extra turn, but setting the timer each time costs a
     * system call each time. */
    if (next_ms >= core->wakeup.timer_at_ms)
        return;
    at.it_value.tv_sec = (time_t)(next_ms / 1000);
    at.it_value.tv_nsec = (long)(next_ms % 1000 * 1000000) + 1;
    timerfd_settime(core->wakeup.timer_fd, TFD_TIMER_ABSTIME, &at, NULL);
    core->wakeup.timer_at_ms = next_ms;
}

void core_raise(Core *core) {
    if (!core->loop_mode || core->wakeup.is_raised)
        return;
    core->wakeup.is_raised = true;
    wake(core);
}

static void quiet(Core *core, uint64_t now_ms) {
    uint64_t count;

    if (core->wakeup.is_raised ||
        __atomic_exchange_n(&core->wakeup.woken, false, __ATOMIC_ACQ_REL)) {
        core->wakeup.is_raised = false;
        if (read(core->wakeup.event_fd, &count, sizeof(count)) < 0)
            count = 0;
    }
    if (core->wakeup.timer_at_ms <= now_ms) {
        core->wakeup.timer_at_ms = UINT64_MAX;
        if (read(core->wakeup.timer_fd, &count, sizeof(count)) < 0)
            count = 0;
    }
}

int core_wait(Core *core, const bool *done, uint64_t until_ms) {
    /* An answer does not arrive while its request is being sent: the first read would find nothing.
     * Waiting returns at once if there is input, or if something is due. */
    bool is_first = true;
    int r = 0;

    core->waits++;
    while (!*done) {
        uint64_t now_ms = clock_ms(), next_ms;
        int n = 0;

        flush(core);
        if (now_ms >= until_ms) {
            r = -ETIMEDOUT;
            break;
        }
        if (!is_first) {
            n = process(core, now_ms);
            timers_run(&core->timers, now_ms, core);
            if (n > 0 || *done)
                continue;
            flush(core);
        }
        is_first = false;
        next_ms = timers_next(&core->timers);
        sleep_until(core, core->others.are_hot ? -1 : core->others.fd,
                    next_ms < until_ms ? next_ms : until_ms);
    }
    core->waits--;
    settle(core);
    return r;
}

void core_poll(Core *core) {
    uint64_t now_ms = clock_ms();

    core->waits++;
    process(core, now_ms);
    timers_run(&core->timers, now_ms, core);
    flush(core);
    core->waits--;
    settle(core);
}

void core_poll_members(Core *leader, uint64_t sleep_until_ms) {
    Link *links[LINK_WAIT_MAX] = {leader->link};
    uint64_t until_ms = sleep_until_ms;

    for (unsigned i = 0; i < leader->n_members; i++) {
        uint64_t timer_ms = timers_next(&leader->members[i]->timers);

        links[i + 1] = leader->members[i]->link;
        until_ms = timer_ms < until_ms ? timer_ms : until_ms;
    }
    link_wait(links, leader->n_members + 1, -1, until_ms);
    core_poll(leader);
    for (unsigned i = 0; i < leader->n_members; i++)
        core_poll(leader->members[i]);
}

void core_look(Core *core) {
    uint64_t now_ms = clock_ms();

    if (now_ms == core->looked_ms)
        return;
    core->looked_ms = now_ms;
    core_poll(core);
}

/* ---- turns ---- */

/* Callbacks may run until core_leave(). */
void core_enter(Core *core) {
    core_ref(core);
    core->turns++;
    core->now_ms = clock_ms();
}

/* May free the core. */
void core_leave(Core *core) {
    core->turns--;
    if (!core->closed) {
        flush(core);
        settle(core);
    }
    core->shut(core);
    core_unref(core);
}

bool core_turn(Core *core) {
    bool busy;

    core_enter(core);
    quiet(core, core->now_ms);
    busy = run_posts(core);
    if (!core->closed)
        busy |= deferred_run(core);
    if (!core->closed)
        busy |= process(core, core->now_ms) > 0;
    if (!core->closed) {
        timers_run(&core->timers, core->now_ms, core);
        busy |= core_run_due(core);
        events_run(core);
    }
    busy |= core->deferred.records.first != NULL;
    core_leave(core);
    return busy;
}

int core_turn_check(ferry_client *client, ferry_error *reterr) {
    int r = client_check(client, reterr);

    if (r == 0 && client->core->turns > 0)
        r = error_set(reterr, "ferry.Misuse", "called inside a callback: callbacks never nest");
    return r;
}

int ferry_process(ferry_client *client, ferry_error *reterr) {
    int r = core_turn_check(client, reterr);
    Core *core;

    if (r < 0)
        return r;
    core = core_ref(client->core);
    core_turn(core);
    r = core->closed ? 0 : session_refused(core, reterr);
    core_unref(core);
    return r;
}

/* The descriptors of a member are beside its own one, not inside: the kernel takes at most 5 nested
 * epoll descriptors, and one of them is the program's. */
int core_watch_loop(Core *core, int fd) {
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    int epoll_fd = core->leader ? core->leader->wakeup.members_fd : link_epoll_fd(core->link);

    if (core->leader)
        event.data.ptr = core;
    return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

int ferry_fd(ferry_client *client) {
    int r = client_check(client, NULL), epoll_fd;
    struct epoll_event event = {.events = EPOLLIN};
    Core *core;

    if (r < 0)
        return r;
    core = client->core;
    epoll_fd = link_epoll_fd(core->link);
    if (core->loop_mode)
        return epoll_fd;
    core->wakeup.timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (core->wakeup.timer_fd < 0)
        return -errno;
    event.data.fd = core->wakeup.timer_fd;
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, core->wakeup.timer_fd, &event) == 0) {
        event.data.fd = core->wakeup.event_fd;
        if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, core->wakeup.event_fd, &event) == 0)
            core->loop_mode = true;
    }
    if (!core->loop_mode) {
        r = -errno;
        close(core->wakeup.timer_fd);
        core->wakeup.timer_fd = -1;
        return r;
    }
    for (size_t i = 0; i < core->n_parts; i++)
        if (core->parts[i]->watch)
            core->parts[i]->watch(core);
    core_raise(core);
    return epoll_fd;
}

/* ---- running ---- */

static uint64_t next_due_ms(const Core *core) {
    return is_due(core) ? 0 : timers_next(&core->timers);
}

void core_run(Core *core, bool (*is_over)(const Core *core, const void *ctx), const void *ctx,
              uint64_t until_ms) {
    while (!core->closed && !is_over(core, ctx) && clock_ms() < until_ms) {
        uint64_t next_ms;

        if (core_turn(core) || core->closed || is_over(core, ctx))
            continue;
        next_ms = next_due_ms(core);
        sleep_until(core, core->wakeup.wait_fd, next_ms < until_ms ? next_ms : until_ms);
    }
}
