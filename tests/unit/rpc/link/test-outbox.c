/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/link/outbox.h"

#include <stdlib.h>

#include "rpc/link/inbox.h"
#include "support/oom.h"
#include "support/random.h"
#include "support/suite.h"

static const Message ping = {.op = OP_PING, .id = 1};

static Message item(uint64_t id, const void *body, size_t len) {
    return (Message){.op = OP_ITEM, .id = id, .body = span_of(body, len)};
}

/* The ops and ids in a batch, as text: "ITEM 1, OK 2". */
static const char *inside(const Chunk *chunk) {
    static char text[4096];
    Message message = {0};
    Reader reader;
    size_t len = 0;

    text[0] = '\0';
    CU_ASSERT_EQUAL(batch_open(&reader, chunk->data, chunk->len), 0);
    while (message_read(&reader, &message) == 1 && len < sizeof(text) - 64)
        len += (size_t)snprintf(
            text + len, sizeof(text) - len, "%s%s %llu", len ? ", " : "", op_name(message.op),
            (unsigned long long)(message.op == OP_PART ? message.part.transfer : message.id));
    CU_ASSERT_PTR_NULL(reader.problem);
    return text;
}

static void expect(Outbox *outbox, const char *what) {
    Chunk *chunk = outbox_take(outbox);

    CU_ASSERT_PTR_NOT_NULL_FATAL(chunk);
    CU_ASSERT_STRING_EQUAL(inside(chunk), what);
    chunk_free(chunk);
}

static void control_precedes_calls_and_calls_precede_bulk(void) {
    Outbox outbox = {.credit = 1000000};
    Message ok = {.op = OP_OK, .id = 2}, bulk = item(3, "x", 1);

    outbox_put(&outbox, LANE_BULK, &bulk, NULL);
    outbox_put(&outbox, LANE_CALLS, &ok, NULL);
    outbox_put(&outbox, LANE_CONTROL, &ping, NULL);
    bulk.id = 4;
    outbox_put(&outbox, LANE_BULK, &bulk, NULL);
    CU_ASSERT(outbox.held > 0);
    expect(&outbox, "PING 1");
    expect(&outbox, "OK 2");
    expect(&outbox, "ITEM 3, ITEM 4");
    CU_ASSERT_EQUAL(outbox.held, 0);
    CU_ASSERT_EQUAL(outbox_bytes(&outbox), 0);
    CU_ASSERT_PTR_NULL(outbox_take(&outbox));
}

static void credit_goes_below_zero_by_one_batch_and_control_is_free(void) {
    Outbox outbox = {.credit = 1};
    Message bulk = item(3, "0123456789", 10);
    Chunk *chunk;

    outbox_put(&outbox, LANE_BULK, &bulk, NULL);
    chunk = outbox_take(&outbox);
    CU_ASSERT_PTR_NOT_NULL_FATAL(chunk);
    CU_ASSERT_EQUAL(outbox.credit, 1 - (int64_t)chunk->len);
    chunk_free(chunk);

    outbox_put(&outbox, LANE_BULK, &bulk, NULL);
    outbox_put(&outbox, LANE_CALLS, &bulk, NULL);
    CU_ASSERT_PTR_NULL(outbox_take(&outbox));
    outbox.credit = 0;
    CU_ASSERT_PTR_NULL(outbox_take(&outbox));
    outbox_put(&outbox, LANE_CONTROL, &ping, NULL);
    expect(&outbox, "PING 1");
    CU_ASSERT_EQUAL(outbox.credit, 0);
    CU_ASSERT_PTR_NULL(outbox_take(&outbox));
    outbox.credit = 1;
    expect(&outbox, "ITEM 3");
    outbox_clear(&outbox);
    CU_ASSERT_EQUAL(outbox.held, 0);
}

static void batches_of_small_records_stay_small(void) {
    Outbox outbox = {.credit = INT64_MAX / 2};
    Message bulk = item(3, "x", 1);
    unsigned n = 0;
    Chunk *chunk;

    for (int i = 0; i < 5000; i++)
        outbox_put(&outbox, LANE_BULK, &bulk, NULL);
    while ((chunk = outbox_take(&outbox))) {
        CU_ASSERT(chunk->records <= WIRE_BATCH_RECORDS && chunk->len <= WIRE_BATCH_SOFT);
        n += chunk->records;
        chunk_free(chunk);
    }
    CU_ASSERT_EQUAL(n, 5000);
}

/* The largest batch of 300 records of 4 KiB. */
static size_t largest_of(Lane lane) {
    Outbox outbox = {.credit = INT64_MAX / 2};
    uint8_t body[4096] = {0};
    Message message = item(3, body, sizeof(body));
    size_t largest = 0;
    Chunk *chunk;

    for (int i = 0; i < 300; i++)
        outbox_put(&outbox, lane, &message, NULL);
    while ((chunk = outbox_take(&outbox))) {
        largest = chunk->len > largest ? chunk->len : largest;
        chunk_free(chunk);
    }
    return largest;
}

static void only_bulk_fills_large_batches(void) {
    CU_ASSERT(largest_of(LANE_CALLS) <= WIRE_BATCH_SOFT);
    CU_ASSERT(largest_of(LANE_BULK) > WIRE_BATCH_MAX / 2);
}

static void no_batch_exceeds_its_maximum_size(void) {
    Dice dice = dice_new(3);
    Outbox outbox = {.credit = INT64_MAX / 2};
    uint8_t *body = calloc(1, 1 << 20);
    Chunk *chunk;
    size_t largest = 0;

    for (int i = 0; i < 3000; i++) {
        Message bulk = item(3, body, dice_below(&dice, 200000) >> dice_below(&dice, 16));

        outbox_put(&outbox, LANE_BULK, &bulk, NULL);
    }
    while ((chunk = outbox_take(&outbox))) {
        largest = chunk->len > largest ? chunk->len : largest;
        chunk_free(chunk);
    }
    CU_ASSERT(largest <= WIRE_BATCH_MAX);
    CU_ASSERT(largest > WIRE_INLINE_MAX / 2);
    free(body);
}

/* ---- large bodies ---- */

enum { LARGE = 200 * 1000 };

static void a_large_body_is_sent_before_its_record(void) {
    Outbox outbox = {.credit = INT64_MAX / 2};
    uint8_t *body = calloc(1, LARGE);
    Message large = item(7, body, LARGE);

    outbox_put(&outbox, LANE_BULK, &large, NULL);
    CU_ASSERT_EQUAL(outbox_bytes(&outbox), LARGE);
    free(body);
    expect(&outbox, "PART 1");
    expect(&outbox, "PART 1");
    expect(&outbox, "PART 1");
    expect(&outbox, "PART 1, ITEM 7");
    CU_ASSERT_EQUAL(outbox.held, 0);
    CU_ASSERT_EQUAL(outbox_bytes(&outbox), 0);
}

static void the_bulk_lane_keeps_its_order_around_large_bodies(void) {
    Outbox outbox = {.credit = INT64_MAX / 2};
    uint8_t *body = calloc(1, LARGE);
    Message large = item(7, body, LARGE), small = item(8, "x", 1), end = {.op = OP_END, .id = 7};

    outbox_put(&outbox, LANE_BULK, &small, NULL);
    outbox_put(&outbox, LANE_BULK, &large, NULL);
    outbox_put(&outbox, LANE_BULK, &end, NULL);
    expect(&outbox, "ITEM 8");
    for (int i = 0; i < 3; i++)
        expect(&outbox, "PART 1");
    expect(&outbox, "PART 1, ITEM 7");
    expect(&outbox, "END 7");
    free(body);
}

static void large_calls_share_with_bulk_and_let_small_calls_pass(void) {
    Outbox outbox = {.credit = INT64_MAX / 2};
    uint8_t *body = calloc(1, LARGE);
    Message large = {.op = OP_OK, .id = 7, .body = span_of(body, LARGE)},
            ok = {.op = OP_OK, .id = 9};
    Message bulk = item(8, body, WIRE_INLINE_MAX);

    outbox_put(&outbox, LANE_CALLS, &large, NULL);
    /* These eight items need two batches: four fit into one. */
    for (int k = 0; k < 8; k++)
        outbox_put(&outbox, LANE_BULK, &bulk, NULL);
    expect(&outbox, "ITEM 8, ITEM 8, ITEM 8, ITEM 8");
    expect(&outbox, "PART 1");
    outbox_put(&outbox, LANE_CALLS, &ok, NULL);
    expect(&outbox, "OK 9");
    expect(&outbox, "ITEM 8, ITEM 8, ITEM 8, ITEM 8");
    expect(&outbox, "PART 1");
    expect(&outbox, "PART 1");
    expect(&outbox, "PART 1, OK 7");
    CU_ASSERT_EQUAL(outbox.held, 0);
    free(body);
}

static void few_large_bodies_are_in_transfer_at_once(void) {
    Outbox outbox = {.credit = INT64_MAX / 2};
    uint8_t *body = calloc(1, LARGE);
    bool open[101] = {false};
    unsigned n_open = 0, most = 0, ended = 0;
    Chunk *chunk;

    for (uint64_t id = 1; id <= 100; id++)
        outbox_put(&outbox, LANE_CALLS,
                   &(Message){.op = OP_OK, .id = id, .body = span_of(body, LARGE)}, NULL);
    while ((chunk = outbox_take(&outbox))) {
        Message message = {0};
        Reader reader;

        batch_open(&reader, chunk->data, chunk->len);
        while (message_read(&reader, &message) == 1) {
            if (message.op == OP_PART) {
                n_open += !open[message.part.transfer];
                open[message.part.transfer] = true;
                most = n_open > most ? n_open : most;
            } else {
                CU_ASSERT_TRUE(open[message.body_transfer]);
                open[message.body_transfer] = false;
                n_open--;
                ended++;
            }
        }
        chunk_free(chunk);
    }
    CU_ASSERT_EQUAL(most, OUTBOX_TRANSFERS_MAX);
    CU_ASSERT_EQUAL(ended, 100);
    free(body);
}

static void a_block_is_shared_and_freed(void) {
    Outbox outbox = {.credit = INT64_MAX / 2};
    uint8_t *block = ferry_alloc(LARGE);
    Message large = item(7, block, LARGE);

    memset(block, 'b', LARGE);
    outbox_put(&outbox, LANE_BULK, &large, block);
    outbox_put(&outbox, LANE_CALLS, &large, block);
    ferry_free(block);
    expect(&outbox, "PART 1");
    /* The leak checker reports the block if outbox_clear() does not free it. */
    outbox_clear(&outbox);
    CU_ASSERT_EQUAL(outbox.held, 0);
    CU_ASSERT_EQUAL(outbox.last_transfer_id, 2);
}

/*
 * Random traffic from an outbox into an inbox, over a connection that refuses batches from time to
 * time. Each body must arrive complete, the bulk lane must keep its order, and at the end the
 * counted bytes must be 0.
 */
static void traffic_arrives_complete_over_a_connection_that_refuses_batches(void) {
    enum { N = 3000, BODY_MAX = 400000 };
    Dice dice = dice_new(17);
    Outbox outbox = {.credit = WIRE_CREDIT};
    Inbox inbox = {.granted = WIRE_CREDIT, .max_body = BODY_MAX};
    uint8_t *body = malloc(BODY_MAX + 256);
    uint64_t put = 0, arrived = 0, last_bulk = 0, wrong = 0;
    Chunk *refused = NULL; /* a batch for which the connection had no room: it is offered again */

    for (size_t i = 0; i < BODY_MAX + 256; i++)
        body[i] = (uint8_t)i;
    while (arrived < N && !wrong) {
        uint64_t grant;
        Chunk *chunk;

        if (put < N && outbox_bytes(&outbox) < 4 << 20) {
            size_t len = dice_below(&dice, BODY_MAX) >> dice_below(&dice, 19);
            bool calls = dice_below(&dice, 3) == 0;

            put++;
            /* The body shows its id: its first byte is id % 256. */
            outbox_put(&outbox, calls ? LANE_CALLS : LANE_BULK,
                       &(Message){.op = calls ? OP_OK : OP_ITEM,
                                  .id = put,
                                  .body = span_of(body + put % 256, len)},
                       NULL);
        }
        if (dice_below(&dice, 4) != 0)
            continue;
        chunk = refused ? refused : outbox_take(&outbox);
        refused = chunk && dice_below(&dice, 2) == 0 ? chunk : NULL;
        if (refused)
            continue;
        if (chunk) {
            Message message = {0};
            Reader reader;

            batch_open(&reader, chunk->data, chunk->len);
            wrong += inbox_charge(&inbox, chunk->len) < 0;
            while (message_read(&reader, &message) == 1) {
                const void *block = NULL;

                if (message.op == OP_PART) {
                    wrong += inbox_part(&inbox, &message) < 0;
                    continue;
                }
                wrong += inbox_body(&inbox, &message, &block) < 0;
                wrong += message.body.len > 0 &&
                         memcmp(message.body.data, body + message.id % 256, message.body.len) != 0;
                if (message.op == OP_ITEM) {
                    wrong += message.id <= last_bulk;
                    last_bulk = message.id;
                }
                arrived++;
                ferry_free(block);
            }
            wrong += reader.problem != NULL;
            chunk_free(chunk);
        }
        grant = inbox_handled(&inbox);
        outbox.credit += (int64_t)grant;
    }
    CU_ASSERT_EQUAL(wrong, 0);
    CU_ASSERT_EQUAL(arrived, N);
    CU_ASSERT_EQUAL(outbox.held, 0);
    CU_ASSERT_EQUAL(outbox_bytes(&outbox), 0);
    CU_ASSERT_EQUAL(inbox.transfer_bytes, 0);
    CU_ASSERT_EQUAL(inbox.n_transfers, 0);
    CU_ASSERT_EQUAL(outbox.credit, inbox.granted);
    outbox_clear(&outbox);
    inbox_clear(&inbox);
    free(body);
}

static void out_of_memory_appends_nothing(void) {
    uint8_t *body = calloc(1, LARGE);

    OOM_EACH(n) {
        Outbox outbox = {.credit = INT64_MAX / 2};
        Message large = item(7, body, LARGE), small = item(8, "x", 1);
        int r[3];
        Chunk *chunk;

        r[0] = outbox_put(&outbox, LANE_BULK, &large, NULL);
        r[1] = outbox_put(&outbox, LANE_CALLS, &large, NULL);
        r[2] = outbox_put(&outbox, LANE_BULK, &small, NULL);
        for (int i = 0; i < 20; i++) {
            chunk = outbox_take(&outbox);
            chunk_free(chunk);
        }
        OOM_STOP;
        for (int i = 0; i < 3; i++)
            CU_ASSERT(r[i] == 0 || (r[i] == -ENOMEM && oom_happened()));
        while ((chunk = outbox_take(&outbox)))
            chunk_free(chunk);
        CU_ASSERT_EQUAL(outbox.held, 0);
        CU_ASSERT_EQUAL(outbox_bytes(&outbox), 0);
        outbox_clear(&outbox);
    }
    free(body);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(control_precedes_calls_and_calls_precede_bulk),
        TEST(credit_goes_below_zero_by_one_batch_and_control_is_free),
        TEST(batches_of_small_records_stay_small),
        TEST(only_bulk_fills_large_batches),
        TEST(no_batch_exceeds_its_maximum_size),
        TEST(a_large_body_is_sent_before_its_record),
        TEST(the_bulk_lane_keeps_its_order_around_large_bodies),
        TEST(large_calls_share_with_bulk_and_let_small_calls_pass),
        TEST(few_large_bodies_are_in_transfer_at_once),
        TEST(a_block_is_shared_and_freed),
        TEST(traffic_arrives_complete_over_a_connection_that_refuses_batches),
        TEST(out_of_memory_appends_nothing),
        TESTS_END,
    };

    return run_suite("rpc/link outbox", tests);
}
