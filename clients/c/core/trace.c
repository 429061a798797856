/* SPDX-License-Identifier: Apache-2.0 */
/* W3C Trace Context. See trace.h. */

#include "clients/c/core/trace.h"

#include <errno.h>

#include "base/random.h"
#include "rpc/wire/writer.h"

/* "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01" */
enum {
    TRACE_AT = 3,
    TRACE_DIGITS = 32,
    PARENT_AT = 36,
    PARENT_DIGITS = 16,
    FLAGS_AT = 53,
    /* The bytes that a new trace adds to a map: map head, key, value. */
    ADDED_MAX = 5 + 1 + 11 + 2 + TRACEPARENT_LEN,
};

/* ---- reading ---- */

static bool is_hex(const char *text, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (!((text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f')))
            return false;
    return true;
}

static bool is_zero(const char *text, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (text[i] != '0')
            return false;
    return true;
}

bool traceparent_is_valid(Span value) {
    const char *text = (const char *)value.data;

    if (value.len < TRACEPARENT_LEN || !is_hex(text, 2) || memcmp(text, "ff", 2) == 0)
        return false;
    /* Later versions may add fields after a dash; version 0 has exactly this length. */
    if (value.len > TRACEPARENT_LEN && (memcmp(text, "00", 2) == 0 || text[TRACEPARENT_LEN] != '-'))
        return false;
    return text[TRACE_AT - 1] == '-' && text[PARENT_AT - 1] == '-' && text[FLAGS_AT - 1] == '-' &&
           is_hex(text + TRACE_AT, TRACE_DIGITS) && !is_zero(text + TRACE_AT, TRACE_DIGITS) &&
           is_hex(text + PARENT_AT, PARENT_DIGITS) && !is_zero(text + PARENT_AT, PARENT_DIGITS) &&
           is_hex(text + FLAGS_AT, 2);
}

/* ---- making ---- */

/* splitmix64 (Steele, Lea, Flood 2014). Never 0, which is not a valid id. */
static uint64_t next_id(TraceIds *ids) {
    uint64_t z;

    if (ids->state == 0 && ids->salt == 0)
        random_bytes(ids, sizeof(*ids));
    do {
        z = ids->state += UINT64_C(0x9E3779B97F4A7C15);
        z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
        z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
        z ^= z >> 31;
    } while (z == 0 || z == ids->salt);
    return z;
}

static void put_hex(char *to, uint64_t id) {
    static const char digits[] = "0123456789abcdef";

    for (int i = 15; i >= 0; i--, id >>= 4)
        to[i] = digits[id & 15];
}

void traceparent_begin(TraceIds *ids, char *to) {
    memcpy(to, "00-", 3);
    /* The salt makes traces differ even if two clients have the same state. */
    put_hex(to + TRACE_AT, next_id(ids) ^ ids->salt);
    put_hex(to + TRACE_AT + 16, next_id(ids));
    to[PARENT_AT - 1] = '-';
    put_hex(to + PARENT_AT, next_id(ids));
    memcpy(to + FLAGS_AT - 1, "-01", 3);
}

/* ---- the next hop ---- */

static bool is_kept(Span key, bool has_trace) {
    return !span_is(key, "traceparent") && (has_trace || !span_is(key, "tracestate"));
}

int trace_headers_write(Buffer *to, Span headers, bool begin, TraceIds *ids) {
    Span parent = header_find(headers, "traceparent");
    bool goes_on = parent.data && traceparent_is_valid(parent);
    bool has_trace, keeps_state;
    char value[TRACEPARENT_LEN];
    uint32_t left, n = 0;
    Reader pairs;
    Span key;

    begin = begin && !goes_on && headers.len + ADDED_MAX <= WIRE_HEADERS_BYTES;
    keeps_state = goes_on || (!parent.data && !begin);
    for (pairs = pairs_of(headers, &left); pairs_next(&pairs, &left, &key); reader_value(&pairs))
        n += is_kept(key, keeps_state);
    has_trace = goes_on || (begin && n < WIRE_HEADERS_MAX);
    if (n + has_trace == 0)
        return 0;

    write_map(to, n + has_trace);
    if (goes_on) {
        memcpy(value, parent.data, sizeof(value));
        memcpy(value, "00", 2);
        put_hex(value + PARENT_AT, next_id(ids));
    } else if (has_trace) {
        traceparent_begin(ids, value);
    }
    if (has_trace) {
        write_text(to, "traceparent");
        write_str(to, value, sizeof(value));
    }
    for (pairs = pairs_of(headers, &left); pairs_next(&pairs, &left, &key);) {
        Span kept = reader_value(&pairs);

        if (is_kept(key, keeps_state)) {
            write_str(to, key.data, key.len);
            write_raw(to, kept);
        }
    }
    return to->failed ? -ENOMEM : 0;
}
