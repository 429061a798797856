/* SPDX-License-Identifier: Apache-2.0 */
/* TALLY: the counts of a server about its direct calls. See services.h. */

#include "broker/services/services-private.h"
#include "rpc/wire/name.h"

enum { COUNT_MAX = 1000 * 1000 * 1000 }; /* of one message */

static bool is_count(uint64_t n) {
    return n <= COUNT_MAX;
}

/* A list of bucket, count, bucket, count … */
static bool read_latencies(Span list, uint32_t counts[LATENCY_BUCKETS]) {
    Reader reader = reader_of(list.data, list.len);
    uint32_t n = reader_array(&reader);

    if (reader.problem || n % 2 != 0 || n > 2 * LATENCY_BUCKETS)
        return false;
    for (uint32_t i = 0; i < n / 2; i++) {
        uint64_t bucket = reader_uint(&reader), count = reader_uint(&reader);

        if (reader.problem || bucket >= LATENCY_BUCKETS || !is_count(count))
            return false;
        counts[bucket] = (uint32_t)count;
    }
    return true;
}

void services_tally(Services *services, Session *session, const Message *message) {
    MethodCounts counts = {.calls = message->tally.calls,
                           .errors = message->tally.errors,
                           .total_us = message->tally.total_us,
                           .last_error = message->tally.text};
    Service *service = service_find(services, message->name);
    Broker *broker = services->broker;

    if (!is_count(counts.calls) || !is_count(counts.errors) ||
        counts.total_us > UINT64_C(1000000) * COUNT_MAX || message->tally.method.len == 0 ||
        message->tally.method.len > NAME_MAX_LEN ||
        !read_latencies(message->tally.latencies, counts.latencies)) {
        session_fault(session, "TALLY: a count is out of range");
        return;
    }
    /* Its last server may have gone. */
    if (!service)
        return;
    methods_add(methods_get(&service->methods, message->tally.method), services->latencies,
                &counts);
    service->calls += counts.calls;
    service->errors += counts.errors;
    broker->stats.calls += counts.calls;
    broker->stats.answers += counts.calls;
    broker->stats.errors += counts.errors;
}
