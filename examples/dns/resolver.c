/* SPDX-License-Identifier: Apache-2.0 */
/* One question to the DNS. See resolver.h. */

#include "resolver.h"

#include <ares.h>
#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TRY_MS = 1500, TRIES = 2, FIXED_PART = 10 /* of a record: type, class, ttl, length */ };

typedef struct Question {
    ResolverAnswer *answer;
    int error; /* negative errno */
} Question;

static unsigned u16(const unsigned char *at) {
    return (unsigned)at[0] << 8 | at[1];
}

/* Reads a name; the text ends with a dot. Returns the number of bytes read; 0: malformed. */
static size_t read_name(const unsigned char *at, const unsigned char *message, int len, char *to) {
    char *name = NULL;
    long used = 0;

    if (ares_expand_name(at, message, len, &name, &used) != ARES_SUCCESS)
        return 0;
    snprintf(to, RESOLVER_NAME_MAX, "%s.", name);
    ares_free_string(name);
    return (size_t)used;
}

/* Reads the data of a record, behind its fixed part. False: malformed, or of a type that is not
 * used. */
static int read_data(ResolverRecord *record, const unsigned char *data, unsigned n,
                     const unsigned char *message, int len) {
    switch (record->type) {
    case ns_t_a:
        return n == 4 && inet_ntop(AF_INET, data, record->data, RESOLVER_NAME_MAX);
    case ns_t_aaaa:
        return n == 16 && inet_ntop(AF_INET6, data, record->data, RESOLVER_NAME_MAX);
    case ns_t_ns:
    case ns_t_cname:
        return read_name(data, message, len, record->data) > 0;
    case ns_t_mx:
        record->preference = n > 2 ? (int)u16(data) : 0;
        return n > 2 && read_name(data + 2, message, len, record->data) > 0;
    default:
        return 0;
    }
}

/* Takes the records of the answer section, up to the first malformed one. */
static int read_records(ResolverAnswer *answer, const unsigned char *message, int len) {
    const unsigned char *at = message + NS_HFIXEDSZ, *end = message + len;
    unsigned questions, left;
    char skipped[RESOLVER_NAME_MAX];
    size_t used;

    if (len < NS_HFIXEDSZ)
        return 0;
    answer->rcode = message[3] & 15;
    questions = u16(message + 4);
    left = u16(message + 6);
    left = left < RESOLVER_RECORDS_MAX ? left : RESOLVER_RECORDS_MAX;
    if (left > 0 && !(answer->records = calloc(left, sizeof(*answer->records))))
        return -ENOMEM;
    for (; questions > 0; questions--, at += used + NS_QFIXEDSZ)
        if ((used = read_name(at, message, len, skipped)) == 0 ||
            end - at < (long)used + NS_QFIXEDSZ)
            return 0;
    for (; left > 0; left--) {
        ResolverRecord *record = &answer->records[answer->n];
        unsigned n;

        if ((used = read_name(at, message, len, record->name)) == 0 ||
            end - at < (long)used + FIXED_PART)
            return 0;
        at += used;
        record->type = (int)u16(at);
        record->ttl = (int64_t)u16(at + 4) << 16 | u16(at + 6);
        n = u16(at + 8);
        at += FIXED_PART;
        if (end - at < (long)n)
            return 0;
        answer->n += read_data(record, at, n, message, len) != 0;
        at += n;
    }
    return 0;
}

static void on_answer(void *ctx, int status, int timeouts, unsigned char *message, int len) {
    Question *question = ctx;

    (void)timeouts;
    if (status == ARES_EBADNAME || status == ARES_EFORMERR)
        question->error = status == ARES_EBADNAME ? -EINVAL : 0;
    if (message)
        question->error = read_records(question->answer, message, len);
}

static void run(ares_channel channel) {
    for (;;) {
        ares_socket_t sockets[ARES_GETSOCK_MAXNUM];
        struct pollfd fds[ARES_GETSOCK_MAXNUM];
        struct timeval most = {TRY_MS / 1000, 0}, left;
        int mask = ares_getsock(channel, sockets, ARES_GETSOCK_MAXNUM), n = 0;

        for (int i = 0; i < ARES_GETSOCK_MAXNUM; i++) {
            /* Written by hand, because the macros of c-ares shift a signed 1 by 31 bits. */
            unsigned readable = (unsigned)mask >> i & 1, writable = (unsigned)mask >> (i + 16) & 1;
            short events = (short)((readable ? POLLIN : 0) | (writable ? POLLOUT : 0));

            if (events)
                fds[n++] = (struct pollfd){sockets[i], events, 0};
        }
        if (n == 0)
            return;
        left = *ares_timeout(channel, &most, &most);
        poll(fds, (nfds_t)n, (int)(left.tv_sec * 1000 + left.tv_usec / 1000 + 1));
        for (int i = 0; i < n; i++)
            ares_process_fd(channel, fds[i].revents & ~POLLOUT ? fds[i].fd : ARES_SOCKET_BAD,
                            fds[i].revents & POLLOUT ? fds[i].fd : ARES_SOCKET_BAD);
    }
}

int resolver_ask(ResolverAnswer *ret, const char *name, int type) {
    struct ares_options options = {
        /* Return answers with an error code, instead of asking the next server. */
        .flags = ARES_FLAG_NOCHECKRESP | ARES_FLAG_EDNS,
        .timeout = TRY_MS,
        .tries = TRIES,
        .ednspsz = 1232};
    const char *servers = getenv("DNS_SERVERS");
    Question question = {ret, 0};
    ares_channel channel;

    *ret = (ResolverAnswer){.rcode = RESOLVER_NO_ANSWER};
    if (ares_init_options(&channel, &options,
                          ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES |
                              ARES_OPT_EDNSPSZ) != ARES_SUCCESS)
        return -ENOMEM;
    if (servers)
        ares_set_servers_ports_csv(channel, servers);
    ares_query(channel, name, ns_c_in, type, on_answer, &question);
    run(channel);
    ares_destroy(channel);
    if (question.error < 0)
        resolver_free(ret);
    return question.error;
}

void resolver_free(ResolverAnswer *answer) {
    free(answer->records);
    *answer = (ResolverAnswer){0};
}
