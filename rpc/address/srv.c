/* SPDX-License-Identifier: Apache-2.0 */
/* SRV records. See srv.h. */

#include "rpc/address/srv.h"

#include <arpa/nameser.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <resolv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/address/endpoint.h"

enum {
    FIXED = 6, /* bytes of a record before its target */
    LABELS_MAX = 1 + 255,
};

/* ---- reading ---- */

static unsigned number_at(const uint8_t *at) {
    return (unsigned)at[0] << 8 | at[1];
}

/* False: the record is malformed. */
static int read_record(ns_msg *message, const ns_rr *record, SrvRecord *ret) {
    const uint8_t *data = ns_rr_rdata(*record);
    size_t len = ns_rr_rdlen(*record);
    int n;

    if (len <= FIXED)
        return -EBADMSG;
    n = dn_expand(ns_msg_base(*message), ns_msg_end(*message), data + FIXED, ret->target,
                  sizeof(ret->target));
    if (n < 0 || (size_t)n != len - FIXED)
        return -EBADMSG;
    ret->priority = (uint16_t)number_at(data);
    ret->weight = (uint16_t)number_at(data + 2);
    ret->port = (uint16_t)number_at(data + 4);
    return 0;
}

static bool has_valid_target(const SrvRecord *record) {
    char url[SRV_TARGET_SIZE + 16];

    snprintf(url, sizeof(url), "tcp://%s:%u", record->target, record->port);
    return !endpoint_problem(url, ENDPOINT_CONNECT);
}

static int refuse(SrvAnswer *answer, const char *problem) {
    answer->n = 0; /* the records before a malformed one are not used either */
    snprintf(answer->problem, sizeof(answer->problem), "%s", problem);
    return -EBADMSG;
}

int srv_read(const uint8_t *bytes, size_t len, SrvAnswer *ret) {
    unsigned n_services = 0;
    ns_msg message;
    ns_rr record;

    ret->n = 0;
    if (len > NS_MAXMSG || ns_initparse(bytes, (int)len, &message) < 0)
        return refuse(ret, "the name server's answer is malformed");
    for (int i = 0; i < ns_msg_count(message, ns_s_an) && ret->n < SRV_RECORDS_MAX; i++) {
        SrvRecord *to = &ret->records[ret->n];

        if (ns_parserr(&message, ns_s_an, i, &record) < 0)
            return refuse(ret, "the name server's answer is malformed");
        if (ns_rr_type(record) != ns_t_srv || ns_rr_class(record) != ns_c_in)
            continue;
        if (read_record(&message, &record, to) < 0)
            return refuse(ret, "the name server's answer has a malformed SRV record");
        n_services++;
        if (ns_msg_count(message, ns_s_an) == 1 && !*to->target)
            return refuse(ret, "its SRV record has the target '.': there is no such service");
        ret->n += has_valid_target(to);
    }
    if (n_services == 0)
        return refuse(ret, "it has no SRV records");
    if (ret->n == 0)
        return refuse(ret, "none of its SRV records has a host and a port that can be used");
    return 0;
}

/* ---- order ---- */

static int by_priority(const void *one, const void *other) {
    const SrvRecord *a = one, *b = other;

    if (a->priority != b->priority)
        return a->priority < b->priority ? -1 : 1;
    /* RFC 2782: records of weight 0 come first, so that the others have a greater chance. */
    return (a->weight != 0) - (b->weight != 0);
}

/* Moves one of n records of the same priority to the front. */
static void choose_first(SrvRecord *records, unsigned n, uint64_t random) {
    uint32_t sum = 0, chosen;
    unsigned at = 0;
    SrvRecord first;

    for (unsigned i = 0; i < n; i++)
        sum += records[i].weight;
    chosen = (uint32_t)(random % ((uint64_t)sum + 1));
    for (sum = records[0].weight; sum < chosen; sum += records[at].weight)
        at++;
    first = records[at];
    memmove(records + 1, records, at * sizeof(*records));
    records[0] = first;
}

void srv_arrange(SrvAnswer *answer, const uint64_t *random) {
    qsort(answer->records, answer->n, sizeof(*answer->records), by_priority);
    for (unsigned i = 0; i < answer->n; i++) {
        unsigned end = i + 1;

        while (end < answer->n && answer->records[end].priority == answer->records[i].priority)
            end++;
        choose_first(&answer->records[i], end - i, random[i]);
    }
}

/* ---- asking ---- */

static int failed(const struct __res_state *state, const char *name, SrvAnswer *answer) {
    bool is_absent = state->res_h_errno == HOST_NOT_FOUND || state->res_h_errno == NO_DATA;

    snprintf(answer->problem, sizeof(answer->problem),
             is_absent ? "there are no SRV records for %s" : "no name server answers for %s", name);
    return is_absent ? -ENOENT : -EAGAIN;
}

int srv_find(const char *name, SrvAnswer *ret) {
    char full[LABELS_MAX + sizeof("_ferry._tcp.")];
    uint8_t *bytes = malloc(NS_MAXMSG);
    struct __res_state state = {0};
    char problem[SRV_PROBLEM_SIZE];
    int n, r;

    ret->n = 0;
    snprintf(full, sizeof(full), "_ferry._tcp.%s", name);
    if (!bytes || res_ninit(&state) < 0) {
        free(bytes);
        snprintf(ret->problem, sizeof(ret->problem), "out of memory");
        return -ENOMEM;
    }
    n = res_nsearch(&state, full, ns_c_in, ns_t_srv, bytes, NS_MAXMSG);
    if (n < 0) {
        r = failed(&state, full, ret);
    } else {
        r = srv_read(bytes, n < NS_MAXMSG ? (size_t)n : NS_MAXMSG, ret);
        if (r < 0) {
            snprintf(problem, sizeof(problem), "%s", ret->problem);
            snprintf(ret->problem, sizeof(ret->problem), "%.250s: %.120s", full, problem);
        }
    }
    res_nclose(&state);
    free(bytes);
    return r;
}
