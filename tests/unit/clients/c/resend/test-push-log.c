/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/c/resend/push-log.h"

#include "support/suite.h"

static Slabs slabs;
static uint64_t slab_bytes;

static PushLog *log_new(void) {
    slabs_init(&slabs, &slab_bytes);
    return push_log_new(&slabs);
}

/* Frees the log, and checks that every push was freed. */
static void log_end(PushLog *log) {
    push_log_free(log);
    slabs_deinit(&slabs);
    CU_ASSERT_EQUAL(slab_bytes, 0);
}

static Push *add(PushLog *log, uint64_t id, size_t len) {
    static char body[1 << 20];

    return push_log_add(
        log,
        &(Message){.op = OP_PUSH, .id = id, .name = span_text("mail"), .body = span_of(body, len)},
        NULL);
}

static void end(PushLog *log, Push *push) {
    push_log_take(log, push);
    push_log_give_back(log, push);
}

static void the_floor_is_the_lowest_id_without_an_answer(void) {
    PushLog *log = log_new();
    Push *first, *second;

    CU_ASSERT_EQUAL(push_log_floor(log, 7), 7);
    first = add(log, 7, 10);
    second = add(log, 9, 10);
    CU_ASSERT_EQUAL(push_log_floor(log, 10), 7);
    end(log, first);
    CU_ASSERT_EQUAL(push_log_floor(log, 10), 9);
    end(log, second);
    CU_ASSERT_TRUE(push_log_is_empty(log));
    log_end(log);
}

static void a_push_reads_as_it_was_written_small_and_large(void) {
    static const size_t sizes[] = {0, 1, 64, 150, 200, 1 << 20};
    PushLog *log = log_new();

    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        Push *push = add(log, i + 1, sizes[i]);
        Message message;

        push_read(push, &message);
        CU_ASSERT_EQUAL(message.op, OP_PUSH);
        CU_ASSERT_EQUAL(message.id, i + 1);
        CU_ASSERT_TRUE(span_is(message.name, "mail"));
        CU_ASSERT_EQUAL(message.body.len, sizes[i]);
    }
    log_end(log);
}

static void the_log_is_limited_in_pushes_and_bytes(void) {
    PushLog *log = log_new();

    CU_ASSERT_TRUE(push_log_has_room(log, (size_t)1 << 30));
    for (uint64_t id = 1; id <= PUSHES_MAX; id++) {
        CU_ASSERT_TRUE_FATAL(push_log_has_room(log, 10));
        add(log, id, 10);
    }
    CU_ASSERT_FALSE(push_log_has_room(log, 0));
    end(log, log->first);
    CU_ASSERT_TRUE(push_log_has_room(log, 10));
    CU_ASSERT_FALSE(push_log_has_room(log, PUSHES_BYTES_MAX));
    log_end(log);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(the_floor_is_the_lowest_id_without_an_answer),
        TEST(a_push_reads_as_it_was_written_small_and_large),
        TEST(the_log_is_limited_in_pushes_and_bytes),
        TESTS_END,
    };

    return run_suite("client push log", tests);
}
