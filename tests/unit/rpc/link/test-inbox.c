/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/link/inbox.h"

#include <errno.h>

#include "support/oom.h"
#include "support/suite.h"

static int part(Inbox *inbox, uint64_t transfer, const void *data, size_t len) {
    return inbox_part(
        inbox, &(Message){.op = OP_PART, .part.transfer = transfer, .body = span_of(data, len)});
}

static int body(Inbox *inbox, uint64_t transfer, Message *message, const void **block) {
    *message = (Message){.op = OP_OK, .id = 1, .body_transfer = transfer};
    return inbox_body(inbox, message, block);
}

static void parts_become_one_body(void) {
    Inbox inbox = {.max_body = 100};
    Message message;
    const void *block;

    CU_ASSERT_EQUAL(part(&inbox, 1, "abc", 3), 0);
    CU_ASSERT_EQUAL(part(&inbox, 2, "xyz", 3), 0);
    CU_ASSERT_EQUAL(part(&inbox, 1, "def", 3), 0);
    CU_ASSERT_EQUAL(body(&inbox, 1, &message, &block), 0);
    CU_ASSERT_TRUE(span_is(message.body, "abcdef"));
    CU_ASSERT_PTR_EQUAL(block, message.body.data);
    CU_ASSERT_EQUAL(message.body_transfer, 0);
    ferry_free(block);
    CU_ASSERT_EQUAL(body(&inbox, 1, &message, &block), -ENOENT);
    CU_ASSERT_PTR_NULL(block);
    CU_ASSERT_EQUAL(body(&inbox, 2, &message, &block), 0);
    ferry_free(block);
    CU_ASSERT_EQUAL(inbox.transfer_bytes, 0);
    CU_ASSERT_EQUAL(inbox.n_transfers, 0);
}

static int announced_part(Inbox *inbox, uint64_t size, const void *data, size_t len) {
    return inbox_part(inbox, &(Message){.op = OP_PART,
                                        .part = {.transfer = 1, .size = size},
                                        .body = span_of(data, len)});
}

/* Memory for the whole body is allocated once, so bytes that have arrived are not copied to larger
 * blocks. */
static void memory_for_a_body_of_known_size_is_allocated_at_once(void) {
    Inbox inbox = {.max_body = 1000};
    Message message;
    const void *block;

    CU_ASSERT_EQUAL(announced_part(&inbox, 40, "0123456789", 10), 0);
    CU_ASSERT_EQUAL(inbox.transfer_bytes, 40);
    CU_ASSERT_EQUAL(part(&inbox, 1, "0123456789", 10), 0);
    CU_ASSERT_EQUAL(inbox.transfer_bytes, 40);
    CU_ASSERT_EQUAL(body(&inbox, 1, &message, &block), 0);
    CU_ASSERT_TRUE(span_is(message.body, "01234567890123456789"));
    ferry_free(block);
    CU_ASSERT_EQUAL(inbox.transfer_bytes, 0);
}

static void an_announced_size_alone_takes_little_memory(void) {
    static const uint64_t sizes[] = {1, 10, 11, 1000, UINT64_MAX};
    static const size_t memory[] = {10, 10, 11, 640, 640};

    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        Inbox inbox = {.max_body = 1000};

        CU_ASSERT_EQUAL(announced_part(&inbox, sizes[i], "0123456789", 10), 0);
        CU_ASSERT_EQUAL(inbox.transfer_bytes, memory[i]);
        inbox_clear(&inbox);
    }
}

static void a_message_without_a_transfer_keeps_its_body(void) {
    Inbox inbox = {.max_body = 100};
    Message message = {.op = OP_OK, .body = span_text("inline")};
    const void *block = &inbox;

    CU_ASSERT_EQUAL(inbox_body(&inbox, &message, &block), 0);
    CU_ASSERT_PTR_NULL(block);
    CU_ASSERT_TRUE(span_is(message.body, "inline"));
}

static void a_body_at_the_limit_is_accepted_and_a_larger_one_refused(void) {
    Inbox inbox = {.max_body = 10};
    Message message;
    const void *block;

    CU_ASSERT_EQUAL(part(&inbox, 1, "0123456789", 10), 0);
    CU_ASSERT_EQUAL(part(&inbox, 1, NULL, 0), 0);
    CU_ASSERT_EQUAL(body(&inbox, 1, &message, &block), 0);
    ferry_free(block);
    CU_ASSERT_EQUAL(part(&inbox, 2, "0123456789", 10), 0);
    CU_ASSERT_EQUAL(part(&inbox, 2, "0", 1), -EMSGSIZE);
    CU_ASSERT_EQUAL(inbox.transfer_bytes, 0);
    /* The rest is dropped, and a message that names the transfer gets an error. */
    CU_ASSERT_EQUAL(part(&inbox, 2, "0", 1), 0);
    CU_ASSERT_EQUAL(body(&inbox, 2, &message, &block), -EMSGSIZE);
    CU_ASSERT_PTR_NULL(block);
    CU_ASSERT_EQUAL(body(&inbox, 2, &message, &block), -ENOENT);
}

static void sixty_four_transfers_are_the_most(void) {
    Inbox inbox = {.max_body = 100};

    for (uint64_t id = 1; id <= INBOX_TRANSFERS_MAX; id++)
        CU_ASSERT_EQUAL(part(&inbox, id, "x", 1), 0);
    CU_ASSERT_EQUAL(part(&inbox, 65, "x", 1), -EPROTO);
    CU_ASSERT_EQUAL(part(&inbox, 64, "x", 1), 0);
    inbox_clear(&inbox);
    CU_ASSERT_EQUAL(inbox.n_transfers, 0);
    CU_ASSERT_EQUAL(inbox.max_body, 100);
    CU_ASSERT_EQUAL(part(&inbox, 0, "x", 1), -EPROTO);
}

static void one_peer_cannot_make_the_broker_hold_gigabytes(void) {
    enum { BODY = 1 << 20 };
    static uint8_t data[WIRE_PART];
    Inbox inbox = {.max_body = BODY};
    size_t most = 0, refused = 0;

    for (int i = 0; i < BODY / WIRE_PART; i++)
        for (uint64_t id = 1; id <= 64; id++) {
            refused += part(&inbox, id, data, sizeof(data)) == -EMSGSIZE;
            most = inbox.transfer_bytes > most ? inbox.transfer_bytes : most;
        }
    CU_ASSERT(most <= INBOX_BODIES_MAX * (size_t)BODY);
    CU_ASSERT(refused >= 60);
    inbox_clear(&inbox);
}

static void all_peers_together_have_a_limit_too(void) {
    Budget budget = {.max_transfers = 280};
    Account accounts[2] = {{.budget = &budget}, {.budget = &budget}};
    Inbox one = {.max_body = 100, .account = &accounts[0]};
    Inbox two = {.max_body = 100, .account = &accounts[1]};
    uint8_t data[100] = {0};
    Message message;
    const void *block;

    CU_ASSERT_EQUAL(part(&one, 1, data, 100), 0);
    CU_ASSERT_EQUAL(part(&one, 2, data, 100), 0);
    CU_ASSERT_EQUAL(part(&two, 1, data, 50), 0);
    CU_ASSERT_EQUAL(part(&two, 1, data, 30), -ENOBUFS);
    CU_ASSERT_EQUAL(budget.bytes[BUDGET_TRANSFERS], 200); /* without the refused transfer */
    CU_ASSERT_EQUAL(body(&two, 1, &message, &block), -ENOBUFS);
    CU_ASSERT_PTR_NULL(block);
    CU_ASSERT_EQUAL(body(&one, 1, &message, &block), 0);
    CU_ASSERT_EQUAL(budget.bytes[BUDGET_TRANSFERS], 100);
    ferry_free(block);
    CU_ASSERT_EQUAL(part(&two, 2, data, 100), 0);
    CU_ASSERT_EQUAL(accounts[1].held, 100);
    inbox_clear(&one);
    CU_ASSERT_EQUAL(budget.bytes[BUDGET_TRANSFERS], 100);
    inbox_clear(&two);
    CU_ASSERT_EQUAL(budget.bytes[BUDGET_TRANSFERS], 0);
    CU_ASSERT_EQUAL(accounts[0].held + accounts[1].held, 0);
    CU_ASSERT_PTR_EQUAL(two.account, &accounts[1]);
}

/* A transfer's memory doubles while it grows. The budget counts this memory, not the received
 * bytes. */
static void the_memory_of_a_transfer_is_counted(void) {
    enum { BODY = 1 << 20, N = BODY / WIRE_PART - 3 };
    static uint8_t data[WIRE_PART];
    Budget budget = {.max = 8 * BODY};
    Account account = {.budget = &budget};
    Inbox inbox = {.max_body = BODY, .account = &account};
    Message message;
    const void *block;

    for (int i = 0; i < N; i++)
        CU_ASSERT_EQUAL(part(&inbox, 1, data, sizeof(data)), 0);
    CU_ASSERT_EQUAL(account.held, BODY);
    CU_ASSERT_EQUAL(part(&inbox, 2, data, 1), 0);
    CU_ASSERT_EQUAL(account.held, BODY + 1);
    CU_ASSERT_EQUAL(body(&inbox, 1, &message, &block), 0);
    CU_ASSERT_EQUAL(message.body.len, N * sizeof(data));
    ferry_free(block);
    inbox_clear(&inbox);
    CU_ASSERT_EQUAL(budget_used(&budget), 0);
}

static void a_peer_uses_its_share_and_leaves_memory_for_others(void) {
    enum { BODY = 1 << 20 };
    static uint8_t data[WIRE_PART];
    Budget budget = {.max = 4 * BODY};
    Account accounts[2] = {{.budget = &budget}, {.budget = &budget}};
    Inbox greedy = {.max_body = BODY, .account = &accounts[0]};
    Inbox modest = {.max_body = BODY, .account = &accounts[1]};
    int refused = 0;

    for (uint64_t id = 1; id <= 60; id++)
        refused += part(&greedy, id, data, sizeof(data)) == -ENOBUFS;
    CU_ASSERT(refused > 0);
    /* Only further input from the peer can end these transfers, so the hub still reads from it. */
    CU_ASSERT_FALSE(account_is_used_up(&accounts[0]));
    CU_ASSERT(accounts[0].held <= 3 * BODY);
    CU_ASSERT(accounts[0].held > 2 * BODY);
    CU_ASSERT_EQUAL(part(&modest, 1, data, sizeof(data)), 0);
    CU_ASSERT_FALSE(account_is_used_up(&accounts[1]));
    inbox_clear(&greedy);
    inbox_clear(&modest);
    CU_ASSERT_EQUAL(budget_used(&budget), 0);
}

static void an_empty_body_may_come_in_parts_too(void) {
    Inbox inbox = {.max_body = 100};
    Message message;
    const void *block;

    CU_ASSERT_EQUAL(part(&inbox, 1, NULL, 0), 0);
    CU_ASSERT_EQUAL(body(&inbox, 1, &message, &block), 0);
    CU_ASSERT_EQUAL(message.body.len, 0);
    ferry_free(block);
}

static void credit_is_overdrawn_by_one_batch_at_most(void) {
    Inbox inbox = {.granted = 100};

    CU_ASSERT_EQUAL(inbox_charge(&inbox, 99), 0);
    CU_ASSERT_EQUAL(inbox_charge(&inbox, 200000), 0);
    CU_ASSERT_EQUAL(inbox_charge(&inbox, 1), -EPROTO);
}

static void a_body_may_land_in_a_transfer_that_has_memory_for_it(void) {
    Inbox inbox = {.max_body = 1000, .granted = 100};
    Message message;
    const void *block;
    uint8_t *at;

    CU_ASSERT_PTR_NULL(inbox_land(&inbox, 1, 3));
    CU_ASSERT_EQUAL(announced_part(&inbox, 6, "abc", 3), 0);
    CU_ASSERT_PTR_NULL(inbox_land(&inbox, 2, 3));
    CU_ASSERT_PTR_NULL(inbox_land(&inbox, 1, 4));
    at = inbox_land(&inbox, 1, 3);
    CU_ASSERT_PTR_NOT_NULL_FATAL(at);
    memcpy(at, "def", 3);
    CU_ASSERT_PTR_NULL(inbox_land(&inbox, 1, 1));
    CU_ASSERT_EQUAL(inbox_charge(&inbox, 10), 0);
    CU_ASSERT_EQUAL(inbox.charged, 13);
    CU_ASSERT_EQUAL(inbox.granted, 87);
    CU_ASSERT_EQUAL(part(&inbox, 1, "", 0), 0);
    CU_ASSERT_EQUAL(body(&inbox, 1, &message, &block), 0);
    CU_ASSERT_TRUE(span_is(message.body, "abcdef"));
    ferry_free(block);
}

static void credit_is_granted_again_by_the_quarter(void) {
    Inbox inbox = {.granted = WIRE_CREDIT};
    size_t sent = 0, granted = 0;

    for (int i = 0; i < 1000; i++) {
        uint64_t grant;

        CU_ASSERT_EQUAL(inbox_charge(&inbox, 10000), 0);
        sent += 10000;
        grant = inbox_handled(&inbox);
        granted += grant;
        CU_ASSERT(grant == 0 || grant >= WIRE_CREDIT / 4);
        CU_ASSERT(sent - granted < WIRE_CREDIT / 4);
    }
    CU_ASSERT_EQUAL(inbox_handled(&inbox), 0);
}

static void out_of_memory_refuses_the_transfer(void) {
    OOM_EACH(n) {
        static uint8_t data[WIRE_PART];
        Inbox inbox = {.max_body = 1 << 20};
        Message message;
        const void *block;
        int r = 0, b;

        for (int i = 0; i < 8 && r == 0; i++)
            r = part(&inbox, 1, data, sizeof(data));
        OOM_STOP;
        /* If there was no memory for the record of the transfer, a later PART must not start it. */
        CU_ASSERT_EQUAL(r, !oom_happened() ? 0 : n == 1 ? -EPROTO : -ENOMEM);
        b = body(&inbox, 1, &message, &block);
        CU_ASSERT_EQUAL(b == 0, r == 0);
        CU_ASSERT_EQUAL(inbox.transfer_bytes, 0);
        ferry_free(block);
        inbox_clear(&inbox);
    }
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(parts_become_one_body),
        TEST(memory_for_a_body_of_known_size_is_allocated_at_once),
        TEST(an_announced_size_alone_takes_little_memory),
        TEST(a_message_without_a_transfer_keeps_its_body),
        TEST(a_body_at_the_limit_is_accepted_and_a_larger_one_refused),
        TEST(sixty_four_transfers_are_the_most),
        TEST(one_peer_cannot_make_the_broker_hold_gigabytes),
        TEST(all_peers_together_have_a_limit_too),
        TEST(the_memory_of_a_transfer_is_counted),
        TEST(a_peer_uses_its_share_and_leaves_memory_for_others),
        TEST(an_empty_body_may_come_in_parts_too),
        TEST(credit_is_overdrawn_by_one_batch_at_most),
        TEST(a_body_may_land_in_a_transfer_that_has_memory_for_it),
        TEST(credit_is_granted_again_by_the_quarter),
        TEST(out_of_memory_refuses_the_transfer),
        TESTS_END,
    };

    return run_suite("rpc/link inbox", tests);
}
