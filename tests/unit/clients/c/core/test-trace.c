/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/c/core/trace.h"

#include "rpc/wire/writer.h"
#include "support/oom.h"
#include "support/suite.h"

#define PARENT "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

static TraceIds ids;

static void valid_traceparents_are_accepted(void) {
    static const char *const good[] = {
        PARENT,
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00",
        "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what-the-future-brings",
    };
    static const char *const bad[] = {
        "",
        "00",
        PARENT "-",
        PARENT "0",
        "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01.x",
        "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "0g-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0x",
        "00_0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331_01",
        "00-0af7651916cd43dd8448eb211c80319-b7ad6b7169203331-001",
    };

    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
        CU_ASSERT_TRUE(traceparent_is_valid(span_text(good[i])));
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        CU_ASSERT_FALSE(traceparent_is_valid(span_text(bad[i])));
}

static void a_new_trace_is_valid_and_unlike_any_other(void) {
    enum { N = 1000 };
    static char made[N][TRACEPARENT_LEN];
    int same = 0;

    for (int i = 0; i < N; i++) {
        traceparent_begin(&ids, made[i]);
        CU_ASSERT_TRUE(traceparent_is_valid(span_of(made[i], TRACEPARENT_LEN)));
        CU_ASSERT_EQUAL(memcmp(made[i], "00-", 3), 0);
        CU_ASSERT_EQUAL(memcmp(made[i] + 52, "-01", 3), 0);
        for (int k = 0; k < i; k++)
            same += memcmp(made[i] + 3, made[k] + 3, 32) == 0 ||
                    memcmp(made[i] + 36, made[k] + 36, 16) == 0;
    }
    CU_ASSERT_EQUAL(same, 0);
}

/* Pairs of name and value, NULL at the end. */
static Span headers_of(Buffer *to, const char *const *texts) {
    uint32_t n = 0;

    while (texts[2 * n])
        n++;
    write_map(to, n);
    for (uint32_t i = 0; i < 2 * n; i++)
        write_text(to, texts[i]);
    return span_of(to->data, to->len);
}

static void text_of(Span headers, const char *name, char *to, size_t size) {
    Span value = header_find(headers, name);

    snprintf(to, size, "%.*s", (int)value.len, value.data ? (const char *)value.data : "");
}

/* The headers of the next hop, and the values of three of them. */
typedef struct Hop {
    Buffer before, after;
    char parent[80], state[80], other[80];
    uint32_t n;
} Hop;

static void hop(Hop *hop, const char *const *texts, bool begin) {
    Span before, after;
    Reader reader;

    *hop = (Hop){0};
    before = headers_of(&hop->before, texts);
    CU_ASSERT_EQUAL(trace_headers_write(&hop->after, before, begin, &ids), 0);
    after = span_of(hop->after.data, hop->after.len);
    reader = reader_of(after.data, after.len);
    hop->n = after.len > 0 ? reader_map(&reader) : 0;
    text_of(after, "traceparent", hop->parent, sizeof(hop->parent));
    text_of(after, "tracestate", hop->state, sizeof(hop->state));
    text_of(after, "tenant", hop->other, sizeof(hop->other));
    buffer_deinit(&hop->before);
    buffer_deinit(&hop->after);
}

static void the_next_hop_has_only_a_new_parent(void) {
    Hop got;

    hop(&got,
        (const char *const[]){"tenant", "blue", "tracestate", "a=1", "traceparent", PARENT, NULL},
        false);
    CU_ASSERT_EQUAL(got.n, 3);
    CU_ASSERT_STRING_EQUAL(got.other, "blue");
    CU_ASSERT_STRING_EQUAL(got.state, "a=1");
    CU_ASSERT_TRUE(traceparent_is_valid(span_text(got.parent)));
    CU_ASSERT_EQUAL(memcmp(got.parent, PARENT, 36), 0);
    CU_ASSERT_NOT_EQUAL(memcmp(got.parent + 36, &PARENT[36], 16), 0);
    CU_ASSERT_STRING_EQUAL(got.parent + 52, "-01");

    /* All flags are kept. A traceparent of a later version is passed on as version 00. */
    hop(&got,
        (const char *const[]){
            "traceparent", "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-02-later", NULL},
        true);
    CU_ASSERT_EQUAL(memcmp(got.parent, PARENT, 36), 0);
    CU_ASSERT_STRING_EQUAL(got.parent + 52, "-02");
}

static void a_malformed_traceparent_is_dropped(void) {
    Hop got;

    hop(&got,
        (const char *const[]){"traceparent", "00-1-2-01", "tracestate", "a=1", "tenant", "blue",
                              NULL},
        false);
    CU_ASSERT_EQUAL(got.n, 1);
    CU_ASSERT_STRING_EQUAL(got.other, "blue");
    hop(&got, (const char *const[]){"traceparent", "00-1-2-01", "tracestate", "a=1", NULL}, true);
    CU_ASSERT_EQUAL(got.n, 1);
    CU_ASSERT_TRUE(traceparent_is_valid(span_text(got.parent)));
    /* Of two headers, only the first is used and kept. */
    hop(&got, (const char *const[]){"traceparent", PARENT, "traceparent", "x", NULL}, false);
    CU_ASSERT_EQUAL(got.n, 1);
    CU_ASSERT_EQUAL(memcmp(got.parent, PARENT, 36), 0);
}

static void no_trace_begins_without_the_option(void) {
    Hop got;

    hop(&got, (const char *const[]){NULL}, false);
    CU_ASSERT_EQUAL(got.n, 0);
    hop(&got, (const char *const[]){"tracestate", "a=1", "tenant", "blue", NULL}, false);
    CU_ASSERT_EQUAL(got.n, 2);
    CU_ASSERT_STRING_EQUAL(got.state, "a=1");
    hop(&got, (const char *const[]){NULL}, true);
    CU_ASSERT_EQUAL(got.n, 1);
    CU_ASSERT_TRUE(traceparent_is_valid(span_text(got.parent)));
    hop(&got, (const char *const[]){"tracestate", "a=1", "tenant", "blue", NULL}, true);
    CU_ASSERT_EQUAL(got.n, 2);
    CU_ASSERT_STRING_EQUAL(got.other, "blue");
    CU_ASSERT_STRING_EQUAL(got.state, "");
}

static void headers_at_their_limit_are_left_as_they_are(void) {
    const char *many[2 * WIRE_HEADERS_MAX + 1] = {NULL};
    const char *large[] = {"large", NULL, NULL};
    char name[WIRE_HEADERS_MAX][8];
    static char value[WIRE_HEADERS_BYTES - 20];
    Hop got;

    for (int i = 0; i < WIRE_HEADERS_MAX; i++) {
        snprintf(name[i], sizeof(name[i]), "n%d", i);
        many[2 * i] = name[i];
        many[2 * i + 1] = "";
    }
    hop(&got, many, true);
    CU_ASSERT_EQUAL(got.n, WIRE_HEADERS_MAX);
    CU_ASSERT_STRING_EQUAL(got.parent, "");
    memset(value, 'x', sizeof(value) - 1);
    large[1] = value;
    hop(&got, large, true);
    CU_ASSERT_EQUAL(got.n, 1);
    CU_ASSERT_STRING_EQUAL(got.parent, "");
}

static void out_of_memory_is_reported(void) {
    const char *const texts[] = {"traceparent", PARENT, NULL};
    Buffer before = {0};
    Span headers = headers_of(&before, texts);

    OOM_EACH(n) {
        Buffer after = {0};
        int r = trace_headers_write(&after, headers, true, &ids);

        OOM_STOP;
        CU_ASSERT_EQUAL(r, oom_happened() ? -ENOMEM : 0);
        buffer_deinit(&after);
    }
    buffer_deinit(&before);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(valid_traceparents_are_accepted),    TEST(a_new_trace_is_valid_and_unlike_any_other),
        TEST(the_next_hop_has_only_a_new_parent), TEST(a_malformed_traceparent_is_dropped),
        TEST(no_trace_begins_without_the_option), TEST(headers_at_their_limit_are_left_as_they_are),
        TEST(out_of_memory_is_reported),          TESTS_END,
    };

    return run_suite("client traces", tests);
}
