/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/address/srv.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "support/suite.h"

/* An answer of a name server; the tests add records. */
typedef struct Packet {
    uint8_t bytes[65536];
    size_t len;
} Packet;

static Packet packet;

static void begin(void) {
    static const uint8_t head[] = {0, 7, 0x84, 0, 0, 1, 0, 0, 0, 0, 0, 0,
                                   /* the question: x.test, SRV, IN */
                                   1, 'x', 4, 't', 'e', 's', 't', 0, 0, 33, 0, 1};

    memset(&packet, 0, sizeof(packet));
    memcpy(packet.bytes, head, sizeof(head));
    packet.len = sizeof(head);
}

static void put(const void *bytes, size_t len) {
    memcpy(packet.bytes + packet.len, bytes, len);
    packet.len += len;
}

static void put_number(unsigned number) {
    put((uint8_t[]){(uint8_t)(number >> 8), (uint8_t)number}, 2);
}

/* target: labels, such as "\1a\4test", without the final zero. */
static void add(unsigned type, unsigned priority, unsigned weight, unsigned port,
                const char *target) {
    put("\xc0\x0c", 2);
    put_number(type);
    put_number(1);
    put("\0\0\0\x3c", 4);
    put_number(6 + (unsigned)strlen(target) + 1);
    put_number(priority);
    put_number(weight);
    put_number(port);
    put(target, strlen(target) + 1);
    packet.bytes[7]++;
}

static int read_packet(SrvAnswer *ret) {
    return srv_read(packet.bytes, packet.len, ret);
}

static void records_are_read(void) {
    SrvAnswer answer;

    begin();
    add(33, 10, 5, 5877, "\1a\4test");
    add(33, 20, 0, 1, "\1b\4test");
    CU_ASSERT_EQUAL_FATAL(read_packet(&answer), 0);
    CU_ASSERT_EQUAL_FATAL(answer.n, 2);
    CU_ASSERT_EQUAL(answer.records[0].priority, 10);
    CU_ASSERT_EQUAL(answer.records[0].weight, 5);
    CU_ASSERT_EQUAL(answer.records[0].port, 5877);
    CU_ASSERT_STRING_EQUAL(answer.records[0].target, "a.test");
    CU_ASSERT_STRING_EQUAL(answer.records[1].target, "b.test");
}

static void records_that_name_no_host_are_left_out(void) {
    SrvAnswer answer;

    begin();
    add(16, 1, 1, 1, "\1c\4test");   /* of another type */
    add(33, 1, 1, 0, "\1c\4test");   /* port 0 */
    add(33, 1, 1, 1, "\3a/b\4test"); /* not the name of a host */
    add(33, 1, 1, 1, "\1a\4test");
    CU_ASSERT_EQUAL_FATAL(read_packet(&answer), 0);
    CU_ASSERT_EQUAL(answer.n, 1);
    CU_ASSERT_STRING_EQUAL(answer.records[0].target, "a.test");
}

static void an_answer_without_records_is_refused(void) {
    SrvAnswer answer;

    begin();
    CU_ASSERT_EQUAL(read_packet(&answer), -EBADMSG);
    CU_ASSERT_PTR_NOT_NULL(strstr(answer.problem, "no SRV records"));
    add(33, 0, 0, 0, "");
    CU_ASSERT_EQUAL(read_packet(&answer), -EBADMSG);
    CU_ASSERT_PTR_NOT_NULL(strstr(answer.problem, "there is no such service"));
    begin();
    add(33, 0, 0, 0, "\1a");
    CU_ASSERT_EQUAL(read_packet(&answer), -EBADMSG);
    CU_ASSERT_PTR_NOT_NULL(strstr(answer.problem, "none of its SRV records"));
}

static void a_malformed_answer_is_refused_at_each_length(void) {
    SrvAnswer answer;
    size_t len;

    begin();
    add(33, 10, 5, 5877, "\1a\4test");
    len = packet.len;
    for (packet.len = 0; packet.len < len; packet.len++)
        CU_ASSERT_EQUAL(read_packet(&answer), -EBADMSG);
    CU_ASSERT_EQUAL(read_packet(&answer), 0);
    /* The target is shorter than the record. */
    begin();
    add(33, 10, 5, 5877, "\1a\4test");
    packet.bytes[packet.len - 8] = 0;
    CU_ASSERT_EQUAL(read_packet(&answer), -EBADMSG);
    begin();
    add(33, 10, 5, 5877, "\1a\4test");
    add(33, 10, 5, 5877, "\1b\4test");
    packet.bytes[packet.len - 8] = 0;
    CU_ASSERT_EQUAL(read_packet(&answer), -EBADMSG);
    CU_ASSERT_EQUAL(answer.n, 0);
}

static void at_most_sixty_four_records_are_read(void) {
    SrvAnswer answer;

    begin();
    for (int i = 0; i < SRV_RECORDS_MAX + 10; i++)
        add(33, 1, 1, 1, "\1a\4test");
    CU_ASSERT_EQUAL(read_packet(&answer), 0);
    CU_ASSERT_EQUAL(answer.n, SRV_RECORDS_MAX);
}

/* ---- order ---- */

static void lower_priorities_come_first(void) {
    for (uint64_t i = 0; i < 100; i++) {
        SrvAnswer answer = {
            .n = 4, .records = {{3, 9, 1, "d"}, {1, 0, 1, "a"}, {2, 1, 1, "b"}, {2, 1, 1, "c"}}};
        uint64_t random[4] = {i, i / 2, i / 3, i / 5};

        srv_arrange(&answer, random);
        CU_ASSERT_STRING_EQUAL(answer.records[0].target, "a");
        CU_ASSERT_EQUAL(answer.records[1].priority, 2);
        CU_ASSERT_EQUAL(answer.records[2].priority, 2);
        CU_ASSERT_STRING_EQUAL(answer.records[3].target, "d");
    }
}

/* Each number below the sum of the weights chooses a record as often as its weight says. */
static void records_are_chosen_by_weight(void) {
    int n_first[3] = {0};

    for (uint64_t i = 0; i < 101; i++) {
        SrvAnswer answer = {.n = 3, .records = {{1, 60, 1, "a"}, {1, 40, 1, "b"}, {1, 0, 1, "c"}}};
        uint64_t random[3] = {i, 0, 0};

        srv_arrange(&answer, random);
        n_first[*answer.records[0].target - 'a']++;
    }
    CU_ASSERT_EQUAL(n_first[0], 60);
    CU_ASSERT_EQUAL(n_first[1], 40);
    CU_ASSERT_EQUAL(n_first[2], 1);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(records_are_read),
        TEST(records_that_name_no_host_are_left_out),
        TEST(an_answer_without_records_is_refused),
        TEST(a_malformed_answer_is_refused_at_each_length),
        TEST(at_most_sixty_four_records_are_read),
        TEST(lower_priorities_come_first),
        TEST(records_are_chosen_by_weight),
        TESTS_END,
    };

    return run_suite("rpc/address SRV records", tests);
}
