/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the error ferry.Moved. See moved.h. */

#include "clients/c/resend/moved.h"

static void read_value(Reader *reader, Span key, Moved *to) {
    Span value = reader_value(reader);
    Reader inside = reader_of(value.data, value.len);

    if (span_is(key, "broker"))
        to->broker = reader_bin(&inside);
    else if (span_is(key, "url"))
        to->url = reader_str(&inside);
    else if (span_is(key, "moved"))
        to->number = reader_uint(&inside);
    else if (span_is(key, "kept"))
        to->is_kept = reader_uint(&inside) == 1;
    else if (span_is(key, "unknown"))
        to->is_unknown = reader_uint(&inside) == 1;
}

bool moved_read(const Message *message, Moved *ret) {
    Moved moved = {0};
    uint32_t left;
    Reader pairs;
    Span key;

    if (message->op != OP_ERROR || !span_is(error_type(message->error.map), "ferry.Moved"))
        return false;
    pairs = pairs_of(message->error.map, &left);
    while (pairs_next(&pairs, &left, &key))
        read_value(&pairs, key, &moved);
    if (pairs.problem || moved.broker.len != WIRE_TOKEN)
        moved.broker = moved.url = (Span){NULL, 0};
    *ret = moved;
    return true;
}

void moved_advise(const Message *message, ferry_error *error) {
    ferry_error advised = FERRY_ERROR_INIT;
    Moved moved;

    if (!moved_read(message, &moved) || moved.broker.len == 0)
        return;
    error_set(&advised, "ferry.Moved", "%s (a URL lists all brokers of a cluster)", error->message);
    advised.outcome_unknown = error->outcome_unknown;
    error_move(error, &advised);
}

uint64_t moved_pause_ms(unsigned n_refusals) {
    unsigned doublings = n_refusals > 0 ? n_refusals - 1 : 0;
    uint64_t ms = doublings < 8 ? (uint64_t)MOVED_PAUSE_MS << doublings : MOVED_PAUSE_MAX_MS;

    return ms < MOVED_PAUSE_MAX_MS ? ms : MOVED_PAUSE_MAX_MS;
}
