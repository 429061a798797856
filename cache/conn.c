/* One connection to one Redis, used by many threads at once. See conn.h. */

#include "cache/conn.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/random.h"
#include "cache/resolve.h"

enum {
    READ_BYTES = 64 * 1024,
    SLICE = 4096, /* of these to the parser at once */
    READS_PER_TURN = 16,
    BATCH = 64,                /* replies handed over with the lock taken once */
    BUFFER_KEPT = 1024 * 1024, /* a larger buffer is given back when it is empty */
};

typedef enum State { CLOSED, RESOLVING, CONNECTING, GREETING, UP } State;

typedef struct Slot {
    Request *request; /* NULL: given up, or: */
    bool unanswered;  /* nobody ever wanted the reply, but it has to be sent */
    uint32_t size;    /* bytes of the command */
} Slot;

struct Conn {
    pthread_mutex_t lock;
    ConnOptions options;
    State state;
    int fd;      /* -1: none */
    int wake_fd; /* wakes who leads */

    bool leading; /* one thread polls and reads; what is marked (L) is its own */
    bool sending; /* one thread sends; (S) */
    bool blocked; /* the socket takes no more for now */
    bool broken;  /* whoever leads has to close it */

    Buffer out;     /* to be sent */
    Buffer wire;    /* being sent (S) */
    size_t wire_at; /* (S) */
    Slot *slots;    /* a ring */
    size_t mask;    /* its size - 1 */
    uint64_t head;  /* the oldest that waits for its reply */
    uint64_t sent;  /* the first whose bytes are still in out */
    uint64_t tail;  /* one past the newest */
    ConnWaiter *waiters;

    Resolve resolve;    /* (L) */
    ReplyReader reader; /* (L) */
    unsigned greetings; /* replies to come before it is up */
    unsigned greeting;  /* the next one */
    unsigned n_own;     /* of these: from options.greet */
    uint64_t retry_ns;  /* no attempt before */
    uint64_t attempt_ends_ns;
    uint32_t pause_us;
    uint64_t connects, heard_ns;

    int *watchers; /* epoll descriptors */
    size_t n_watchers;
    uint32_t watched_events;

    uint8_t bytes[READ_BYTES]; /* (L) */
};

/* ---- life ---- */

int conn_new(Conn **ret, const ConnOptions *options) {
    Conn *conn = calloc(1, sizeof(*conn));

    if (!conn)
        return -ENOMEM;
    conn->options = *options;
    conn->fd = -1;
    conn->head = conn->sent = conn->tail = 1;
    conn->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (conn->wake_fd < 0) {
        free(conn);
        return -errno;
    }
    pthread_mutex_init(&conn->lock, NULL);
    *ret = conn;
    return 0;
}

static void finish(Request *request, Reply *reply, int status, const char *problem) {
    request->reply = reply;
    request->status = status;
    request->problem = problem;
    request->seq = 0;
    if (!request->waiter) {
        request->done(request);
        return;
    }
    /* The request may be gone as soon as the lock is. */
    if (--request->waiter->pending == 0)
        pthread_cond_signal(&request->waiter->wake);
}

static void fail_until(Conn *conn, uint64_t end, int status, const char *problem) {
    for (; conn->head < end; conn->head++) {
        Slot *slot = &conn->slots[conn->head & conn->mask];

        if (slot->request)
            finish(slot->request, NULL, status, problem);
    }
}

Conn *conn_free(Conn *conn) {
    if (!conn)
        return NULL;
    fail_until(conn, conn->tail, -ECANCELED, NULL);
    if (conn->fd >= 0)
        close(conn->fd);
    close(conn->wake_fd);
    reply_reader_deinit(&conn->reader);
    resolve_deinit(&conn->resolve);
    buffer_deinit(&conn->out);
    buffer_deinit(&conn->wire);
    pthread_mutex_destroy(&conn->lock);
    free(conn->watchers);
    free(conn->slots);
    free(conn);
    return NULL;
}

void conn_lock(Conn *conn) {
    pthread_mutex_lock(&conn->lock);
}

void conn_unlock(Conn *conn) {
    pthread_mutex_unlock(&conn->lock);
}

/* ---- who waits in epoll ---- */

static uint32_t wanted_events(const Conn *conn) {
    return EPOLLIN | (conn->state == CONNECTING || conn->blocked ? (uint32_t)EPOLLOUT : 0u);
}

static void watch_again(Conn *conn, int op) {
    struct epoll_event event = {.events = wanted_events(conn)};

    if (conn->fd < 0 || (op == EPOLL_CTL_MOD && event.events == conn->watched_events))
        return;
    conn->watched_events = event.events;
    for (size_t i = 0; i < conn->n_watchers; i++)
        epoll_ctl(conn->watchers[i], op, conn->fd, &event);
}

int conn_watch(Conn *conn, int epoll_fd) {
    int *more;
    int r = 0;

    conn_lock(conn);
    more = realloc(conn->watchers, (conn->n_watchers + 1) * sizeof(int));
    if (more) {
        struct epoll_event event = {.events = wanted_events(conn)};

        conn->watchers = more;
        conn->watchers[conn->n_watchers++] = epoll_fd;
        conn->watched_events = event.events;
        if (conn->fd >= 0 && epoll_ctl(epoll_fd, EPOLL_CTL_ADD, conn->fd, &event) < 0)
            r = -errno;
    } else {
        r = -ENOMEM;
    }
    conn_unlock(conn);
    return r;
}

void conn_unwatch(Conn *conn, int epoll_fd) {
    conn_lock(conn);
    for (size_t i = 0; i < conn->n_watchers; i++)
        if (conn->watchers[i] == epoll_fd) {
            conn->watchers[i] = conn->watchers[--conn->n_watchers];
            if (conn->fd >= 0)
                epoll_ctl(epoll_fd, EPOLL_CTL_DEL, conn->fd, NULL);
            break;
        }
    conn_unlock(conn);
}

/* ---- sending ---- */

static uint8_t *put_count(uint8_t *to, char type, size_t n) {
    char digits[20];
    int len = 0;

    *to++ = (uint8_t)type;
    do
        digits[len++] = (char)('0' + n % 10);
    while ((n /= 10) > 0);
    while (len > 0)
        *to++ = (uint8_t)digits[--len];
    *to++ = '\r';
    *to++ = '\n';
    return to;
}

void conn_format(Buffer *to, const Span *args, size_t n) {
    size_t size = 32;
    uint8_t *at, *start;

    for (size_t i = 0; i < n; i++)
        size += args[i].len + 32;
    start = at = buffer_reserve(to, size);
    if (!at)
        return;
    at = put_count(at, '*', n);
    for (size_t i = 0; i < n; i++) {
        at = put_count(at, '$', args[i].len);
        if (args[i].len > 0)
            memcpy(at, args[i].data, args[i].len);
        at += args[i].len;
        *at++ = '\r';
        *at++ = '\n';
    }
    to->len += (size_t)(at - start);
}

static int grow_slots(Conn *conn) {
    size_t n = conn->slots ? (conn->mask + 1) * 2 : 64;
    Slot *slots = malloc(n * sizeof(*slots));

    if (!slots)
        return -ENOMEM;
    for (uint64_t seq = conn->head; conn->slots && seq < conn->tail; seq++)
        slots[seq & (n - 1)] = conn->slots[seq & conn->mask];
    free(conn->slots);
    conn->slots = slots;
    conn->mask = n - 1;
    return 0;
}

static int put_slot(Conn *conn, const Span *args, size_t n, Request *request) {
    size_t before = conn->out.len;

    if (conn->tail - conn->head >= CONN_PENDING_MAX || conn->out.len > CONN_OUT_MAX)
        return -ENOBUFS;
    if ((!conn->slots || conn->tail - conn->head > conn->mask) && grow_slots(conn) < 0)
        return -ENOMEM;
    conn_format(&conn->out, args, n);
    if (conn->out.failed) {
        conn->out.failed = false;
        conn->out.len = before;
        return -ENOMEM;
    }
    conn->slots[conn->tail++ & conn->mask] =
        (Slot){request, !request, (uint32_t)(conn->out.len - before)};
    return 0;
}

int conn_put(Conn *conn, const Span *args, size_t n, Request *request) {
    int r = put_slot(conn, args, n, request);

    if (r < 0)
        return r;
    request->reply = NULL;
    request->status = 0;
    request->problem = NULL;
    request->seq = conn->tail - 1;
    if (request->waiter)
        request->waiter->pending++;
    return 0;
}

int conn_put_unanswered(Conn *conn, const Span *args, size_t n) {
    return put_slot(conn, args, n, NULL);
}

static void wake_leader(Conn *conn) {
    uint64_t one = 1;
    ssize_t ignored = write(conn->wake_fd, &one, sizeof(one));

    (void)ignored; /* full means that it is awake */
}

void conn_tell(Conn *conn, const Span *args, size_t n) {
    conn_lock(conn);
    if (conn->state == UP && conn->out.len < CONN_OUT_MAX) {
        conn_format(&conn->out, args, n);
        conn->out.failed = false;
        conn_flush(conn);
    }
    conn_unlock(conn);
}

static bool next_wire(Conn *conn) {
    Buffer empty = conn->wire;

    if (conn->wire_at < conn->wire.len)
        return true;
    if (empty.cap > BUFFER_KEPT)
        buffer_deinit(&empty);
    buffer_reset(&empty);
    conn->wire = conn->out;
    conn->wire_at = 0;
    conn->out = empty;
    conn->sent = conn->tail;
    return conn->wire.len > 0;
}

/* What others put while this one sends leaves with its next send: they need not send themselves. */
void conn_flush(Conn *conn) {
    if (conn->sending || conn->broken || (conn->state != UP && conn->state != GREETING))
        return;
    conn->sending = true;
    /* Before the connection is up only the greeting leaves, which is in wire. */
    while (!conn->broken &&
           (conn->state == UP ? next_wire(conn) : conn->wire_at < conn->wire.len)) {
        const uint8_t *from = conn->wire.data + conn->wire_at;
        size_t len = conn->wire.len - conn->wire_at;
        int fd = conn->fd;
        ssize_t n;
        int problem;

        conn_unlock(conn);
        n = send(fd, from, len, MSG_NOSIGNAL | MSG_DONTWAIT);
        problem = errno;
        conn_lock(conn);
        if (n >= 0) {
            conn->wire_at += (size_t)n;
            conn->blocked = false;
        } else if (problem == EAGAIN || problem == EWOULDBLOCK) {
            conn->blocked = true;
            wake_leader(conn);
            break;
        } else if (problem != EINTR) {
            conn->broken = true;
            shutdown(fd, SHUT_RDWR); /* wakes who leads */
        }
    }
    conn->sending = false;
    watch_again(conn, EPOLL_CTL_MOD);
}

/* ---- connecting; by who leads, with the lock ---- */

/* Commands that nobody waits for any more are not sent late: a set that was given up a second ago
 * would undo what has been set since. */
static void drop_given_up(Conn *conn) {
    size_t from = 0, to = 0;
    uint64_t kept = conn->head;

    assert(conn->head == conn->sent);
    if (conn->options.push)
        conn->out.len = 0;
    for (uint64_t seq = conn->head; seq < conn->tail; seq++) {
        Slot slot = conn->slots[seq & conn->mask];

        if (slot.request || slot.unanswered) {
            memmove(conn->out.data + to, conn->out.data + from, slot.size);
            to += slot.size;
            if (slot.request)
                slot.request->seq = kept;
            conn->slots[kept++ & conn->mask] = slot;
        }
        from += slot.size;
    }
    conn->out.len = to;
    conn->tail = kept;
}

static void close_socket(Conn *conn) {
    /* A send never blocks, so this takes microseconds. The descriptor must not be another one's by
     * then. */
    while (conn->sending) {
        conn_unlock(conn);
        sched_yield();
        conn_lock(conn);
    }
    if (conn->fd >= 0)
        close(conn->fd);
    conn->fd = -1;
    conn->broken = conn->blocked = false;
    reply_reader_deinit(&conn->reader);
    buffer_reset(&conn->wire);
    conn->wire_at = 0;
}

static void lose(Conn *conn, int status, const char *problem) {
    State was = conn->state;
    uint32_t pause_us = conn->pause_us;

    conn->broken = true; /* nobody begins to send now */
    close_socket(conn);
    conn->state = CLOSED;
    fail_until(conn, conn->sent, status, problem);
    if (was == UP && conn->options.lost)
        conn->options.lost(conn->options.ctx);
    /* Half of it at random: many clients must not come back all at once. */
    conn->retry_ns =
        clock_ns() + pause_us * UINT64_C(500) + random_below(pause_us * UINT64_C(500) + 1);
    conn->pause_us = pause_us == 0                          ? CONN_RETRY_FIRST_US
                     : pause_us * 2 > CONN_RETRY_LONGEST_US ? CONN_RETRY_LONGEST_US
                                                            : pause_us * 2;
}

/* The other end does not want us: there is no use in waiting for that to change. */
static void refuse(Conn *conn, int status, const char *problem) {
    conn->pause_us = CONN_RETRY_LONGEST_US;
    lose(conn, status, problem);
    conn->sent = conn->tail;
    conn->out.len = 0;
    fail_until(conn, conn->tail, status, problem);
}

static void greet(Conn *conn) {
    const ConnOptions *options = &conn->options;
    Buffer *to = &conn->wire;

    if (reply_reader_init(&conn->reader) < 0) {
        lose(conn, -ENOMEM, NULL);
        return;
    }
    conn->greetings = conn->greeting = 0;
    if (options->password) {
        const char *user = options->user ? options->user : "default";
        Span args[] = {{(const uint8_t *)"AUTH", 4},
                       {(const uint8_t *)user, strlen(user)},
                       {(const uint8_t *)options->password, strlen(options->password)}};

        /* Before Redis 6 there are no users. */
        if (!options->user)
            args[1] = args[2];
        conn_format(to, args, options->user ? 3 : 2);
        conn->greetings++;
    }
    if (options->db > 0) {
        char db[16];
        int len = snprintf(db, sizeof(db), "%u", options->db);
        Span args[] = {{(const uint8_t *)"SELECT", 6}, {(const uint8_t *)db, (size_t)len}};

        conn_format(to, args, 2);
        conn->greetings++;
    }
    conn->n_own = options->greet ? options->greet(to, options->ctx) : 0;
    conn->greetings += conn->n_own;
    /* Always something to answer, so that what listens on this port shows that it is Redis. */
    conn_format(to, (Span[]){{(const uint8_t *)"PING", 4}}, 1);
    conn->greetings++;
    if (to->failed) {
        lose(conn, -ENOMEM, NULL);
        return;
    }
    conn->state = GREETING;
    conn_flush(conn);
}

static int open_socket(Conn *conn) {
    struct sockaddr_un path = {.sun_family = AF_UNIX};
    const struct addrinfo *at = conn->resolve.at;
    const struct sockaddr *address = conn->options.is_unix ? (struct sockaddr *)&path : at->ai_addr;
    socklen_t len = conn->options.is_unix ? sizeof(path) : at->ai_addrlen;

    if (conn->options.is_unix)
        strncpy(path.sun_path, conn->options.host.name, sizeof(path.sun_path) - 1);
    else
        conn->resolve.at = at->ai_next;
    conn->fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (conn->fd < 0)
        return -errno;
    if (!conn->options.is_unix) {
        setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        setsockopt(conn->fd, SOL_SOCKET, SO_KEEPALIVE, &(int){1}, sizeof(int));
    }
    return connect(conn->fd, address, len) < 0 ? -errno : 0;
}

static void connect_next(Conn *conn) {
    int r = open_socket(conn);

    conn->state = CONNECTING;
    if (r == -EINPROGRESS || r == 0) {
        watch_again(conn, EPOLL_CTL_ADD);
        if (r == 0)
            greet(conn);
        return;
    }
    lose(conn, -ENOTCONN, NULL);
    if (conn->resolve.at && !conn->options.is_unix)
        conn->retry_ns = 0;
}

static void start(Conn *conn, uint64_t until_ns) {
    int r = 0;

    if (conn->state == CLOSED)
        conn->attempt_ends_ns = clock_ns() + CONN_ATTEMPT_MS * UINT64_C(1000000);
    if (!conn->options.is_unix && !conn->resolve.at) {
        conn_unlock(conn);
        r = conn->resolve.asked ? resolve_poll(&conn->resolve, until_ns)
                                : resolve_begin(&conn->resolve, &conn->options.host);
        if (r == -EINPROGRESS && until_ns > 0)
            r = resolve_poll(&conn->resolve, until_ns);
        conn_lock(conn);
    }
    if (r == -EINPROGRESS)
        conn->state = RESOLVING;
    else if (r < 0)
        lose(conn, r, NULL);
    else
        connect_next(conn);
}

static void connected(Conn *conn) {
    int problem = 0;
    socklen_t len = sizeof(problem);

    if (getsockopt(conn->fd, SOL_SOCKET, SO_ERROR, &problem, &len) == 0 && problem == 0) {
        greet(conn);
        return;
    }
    lose(conn, -ENOTCONN, NULL);
    if (conn->resolve.at)
        conn->retry_ns = 0; /* the name has more addresses */
}

static bool reply_begins(const Reply *reply, const char *word) {
    return reply->bytes.len >= strlen(word) && memcmp(reply->bytes.data, word, strlen(word)) == 0;
}

/* AUTH and SELECT come first, then what options.greet asked, then PING. */
static void take_greeting(Conn *conn, const Reply *reply) {
    unsigned i = conn->greeting++, first_own = conn->greetings - 1 - conn->n_own;

    if (i >= first_own && i < conn->greetings - 1) {
        int r = conn->options.greeted(i - first_own, reply, conn->options.ctx);

        if (r < 0)
            refuse(conn, r, "Redis does not do what the near cache needs");
        return;
    }
    if (reply->type == REPLY_ERROR && reply_begins(reply, "NOAUTH"))
        refuse(conn, -EACCES, "Redis wants a password");
    else if (reply->type == REPLY_ERROR && i < first_own && i == 0 && conn->options.password)
        refuse(conn, -EACCES, "Redis refuses the user or password");
    else if (reply->type == REPLY_ERROR && i < first_own)
        refuse(conn, -EINVAL, "Redis has no such database");
    else if (conn->greeting == conn->greetings) {
        conn->state = UP;
        conn->pause_us = 0;
        conn->connects++;
        drop_given_up(conn);
        conn_flush(conn);
    }
}

/* ---- reading; by who leads ---- */

static int take_reply(Conn *conn, Reply *reply) {
    Slot *slot;

    if (conn->state == GREETING) {
        take_greeting(conn, reply);
        reply_free(reply);
        return conn->fd >= 0 ? 0 : -ECONNRESET;
    }
    if (conn->options.push) {
        conn->options.push(reply, conn->options.ctx);
        return 0;
    }
    if (conn->head == conn->sent) {
        reply_free(reply);
        return -EPROTO; /* nobody asked */
    }
    slot = &conn->slots[conn->head++ & conn->mask];
    if (slot->request)
        finish(slot->request, reply, 0, NULL);
    else
        reply_free(reply);
    return 0;
}

/* Hands over what the parser has; takes and leaves with the lock free. */
static int take_replies(Conn *conn) {
    Reply *batch[BATCH];
    size_t n;
    int r;

    do {
        int taken = 0;

        r = 0;
        for (n = 0; n < BATCH; n++) {
            r = reply_reader_next(&conn->reader, &batch[n]);
            if (r < 0 || !batch[n])
                break;
        }
        conn_lock(conn);
        for (size_t i = 0; i < n; i++)
            if (taken < 0)
                reply_free(batch[i]);
            else
                taken = take_reply(conn, batch[i]);
        conn_unlock(conn);
        r = r < 0 ? r : taken;
    } while (r >= 0 && n == BATCH);
    return r;
}

/* In slices: hiredis 0.14 moves all it still holds to the front every kilobyte. */
static int parse(Conn *conn, size_t n) {
    for (size_t at = 0; at < n;) {
        size_t left = n - at,
               slice = conn->reader.guard.bulk_left > SLICE || left < SLICE ? left : SLICE;
        int fed = reply_reader_feed(&conn->reader, conn->bytes + at, slice);
        int taken = take_replies(conn); /* what came before any nonsense still counts */

        if (fed < 0 || taken < 0)
            return fed < 0 ? fed : taken;
        at += slice;
    }
    return 0;
}

/* Everything that has come, within bounds. 0, or why the connection has to go. Lock not held. */
static int receive(Conn *conn) {
    for (int i = 0; i < READS_PER_TURN; i++) {
        ssize_t n = recv(conn->fd, conn->bytes, sizeof(conn->bytes), MSG_DONTWAIT);
        int r;

        if (n == 0)
            return -ECONNRESET;
        if (n < 0)
            return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? 0 : -ECONNRESET;
        r = parse(conn, (size_t)n);
        if (r < 0)
            return r;
        if ((size_t)n < sizeof(conn->bytes))
            return 0;
    }
    return 0;
}

static void read_turn(Conn *conn) {
    int r;

    conn_unlock(conn);
    r = receive(conn);
    conn_lock(conn);
    conn->heard_ns = clock_ns();
    if (r == 0 || conn->fd < 0)
        return; /* a refused greeting has closed it already */
    if (r == -EPROTO && conn->state == GREETING)
        refuse(conn, r, conn->reader.problem ? conn->reader.problem : "this is not Redis");
    else if (r == -EPROTO)
        lose(conn, r,
             conn->reader.problem ? conn->reader.problem : "a reply that nobody asked for");
    else
        lose(conn, r, NULL);
}

/* ---- one turn of who leads; with the lock, which it gives away while it waits ---- */

static uint64_t sooner(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

static int wait_for(struct pollfd *fds, nfds_t n, uint64_t until_ns) {
    uint64_t now = clock_ns(), left = until_ns > now ? until_ns - now : 0;
    struct timespec wait = {.tv_sec = (time_t)(left / 1000000000),
                            .tv_nsec = (long)(left % 1000000000)};

    return ppoll(fds, n, &wait, NULL);
}

static void turn(Conn *conn, uint64_t until_ns) {
    struct pollfd fds[2];
    uint64_t stop_ns = until_ns, now = clock_ns();

    assert(!conn->leading);
    conn->leading = true;
    if (conn->state == RESOLVING || (conn->state == CLOSED && now >= conn->retry_ns))
        start(conn, until_ns);
    if (conn->state == CLOSED)
        stop_ns = sooner(until_ns, conn->retry_ns);
    else if (conn->state != UP)
        stop_ns = sooner(until_ns, conn->attempt_ends_ns);

    fds[0] = (struct pollfd){.fd = conn->wake_fd, .events = POLLIN};
    fds[1] = (struct pollfd){.fd = conn->fd, .events = (short)wanted_events(conn)};
    if (conn->state != RESOLVING) {
        conn_unlock(conn);
        if (wait_for(fds, conn->fd >= 0 ? 2 : 1, stop_ns) <= 0)
            fds[0].revents = fds[1].revents = 0;
        if (fds[0].revents) {
            uint64_t ignored;
            ssize_t n = read(conn->wake_fd, &ignored, sizeof(ignored));

            (void)n;
        }
        conn_lock(conn);
        if (conn->fd < 0)
            fds[1].revents = 0;
        if (fds[1].revents && conn->state == CONNECTING)
            connected(conn);
        else if (fds[1].revents & ~POLLOUT && conn->state >= GREETING)
            read_turn(conn);
    }
    if (conn->broken)
        lose(conn, -ECONNRESET, NULL);
    else if (conn->state != UP && conn->state != CLOSED && clock_ns() >= conn->attempt_ends_ns)
        lose(conn, -ETIMEDOUT, NULL);
    if (fds[1].revents & POLLOUT || conn->blocked)
        conn_flush(conn);
    watch_again(conn, EPOLL_CTL_MOD);
    conn->leading = false;
}

/* ---- waiting ---- */

void conn_waiter_init(ConnWaiter *waiter) {
    pthread_condattr_t attr;

    *waiter = (ConnWaiter){.pending = 0};
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&waiter->wake, &attr);
    pthread_condattr_destroy(&attr);
}

void conn_waiter_deinit(ConnWaiter *waiter) {
    pthread_cond_destroy(&waiter->wake);
}

static void give_up(Conn *conn, ConnWaiter *waiter) {
    int status = conn->state == UP ? -ETIMEDOUT : -ENOTCONN;

    for (uint64_t seq = conn->head; seq < conn->tail && waiter->pending > 0; seq++) {
        Slot *slot = &conn->slots[seq & conn->mask];

        if (slot->request && slot->request->waiter == waiter) {
            Request *request = slot->request;

            slot->request = NULL;
            /* What never left this process has certainly not happened. */
            finish(request, NULL, seq < conn->sent ? -ETIMEDOUT : status, NULL);
        }
    }
    if (conn->state != UP && conn->head == conn->sent)
        drop_given_up(conn);
}

bool conn_wait(Conn *conn, ConnWaiter *waiter, uint64_t deadline_ns) {
    struct timespec deadline = {.tv_sec = (time_t)(deadline_ns / 1000000000),
                                .tv_nsec = (long)(deadline_ns % 1000000000)};
    bool in_time = true;

    conn_lock(conn);
    waiter->next = conn->waiters;
    waiter->link = &conn->waiters;
    if (conn->waiters)
        conn->waiters->link = &waiter->next;
    conn->waiters = waiter;

    while (waiter->pending > 0) {
        if (clock_ns() >= deadline_ns) {
            give_up(conn, waiter);
            in_time = false;
        } else if (!conn->leading) {
            turn(conn, deadline_ns);
        } else {
            pthread_cond_timedwait(&waiter->wake, &conn->lock, &deadline);
        }
    }

    *waiter->link = waiter->next;
    if (waiter->next)
        waiter->next->link = waiter->link;
    /* Somebody has to lead. */
    if (!conn->leading && conn->waiters)
        pthread_cond_signal(&conn->waiters->wake);
    conn_unlock(conn);
    return in_time;
}

void conn_abandon(Conn *conn, Request *request, int status) {
    conn_lock(conn);
    if (request->seq != 0) {
        conn->slots[request->seq & conn->mask].request = NULL;
        finish(request, NULL, status, NULL);
    }
    conn_unlock(conn);
}

void conn_process(Conn *conn) {
    conn_lock(conn);
    if (!conn->leading) {
        turn(conn, 0);
        if (conn->waiters)
            pthread_cond_signal(&conn->waiters->wake);
    }
    conn_unlock(conn);
}

void conn_reset(Conn *conn) {
    conn_lock(conn);
    if (conn->fd >= 0 && !conn->broken) {
        conn->broken = true;
        shutdown(conn->fd, SHUT_RDWR);
        wake_leader(conn);
    }
    conn_unlock(conn);
}

ConnState conn_state(Conn *conn) {
    ConnState state;

    conn_lock(conn);
    state = (ConnState){conn->state == UP && !conn->broken, conn->connects, conn->heard_ns};
    conn_unlock(conn);
    return state;
}
