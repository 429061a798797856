/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/link/connection.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

#include "base/block.h"
#include "rpc/link/inbox.h"
#include "support/oom.h"
#include "support/suite.h"

enum { NOW = 1000000 };

static uint8_t space[64 * 1024];
static const ReadBuffer buffer = {space, sizeof(space)};
static Connection hub, client;
static Outbox to_client, to_hub;

/* Handles the received bytes; returns the last event other than MORE, and counts messages. */
static int receive(Connection *connection, unsigned *n_messages, Span *ret_last) {
    int last = ZMTP_EVENT_MORE, event;
    Span message;

    while (connection_read(connection, NOW) > 0)
        while ((event = connection_next(connection, NULL, &message)) != ZMTP_EVENT_MORE) {
            last = event;
            if (event == ZMTP_EVENT_MESSAGE) {
                ++*n_messages;
                *ret_last = message;
            }
            if (event == ZMTP_EVENT_FAILED || event < 0)
                return last;
        }
    return last;
}

static void open_pair(const ReadBuffer *hubs) {
    int fds[2];

    CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    CU_ASSERT_EQUAL_FATAL(connection_open(&hub, fds[0], true, hubs, NULL, NOW), 0);
    CU_ASSERT_EQUAL_FATAL(connection_open(&client, fds[1], false, NULL, NULL, NOW), 0);
    to_client = to_hub = (Outbox){.credit = 1 << 30};
}

static void shake_hands(void) {
    unsigned n = 0;
    Span last;

    for (int i = 0; i < 3; i++) {
        connection_send(&client, &to_hub);
        receive(&hub, &n, &last);
        connection_send(&hub, &to_client);
        receive(&client, &n, &last);
    }
    CU_ASSERT_EQUAL(hub.zmtp.stage, ZMTP_OPEN);
    CU_ASSERT_EQUAL(client.zmtp.stage, ZMTP_OPEN);
    CU_ASSERT_EQUAL(n, 0);
}

static void close_pair(void) {
    connection_close(&hub);
    connection_close(&client);
    outbox_clear(&to_client);
    outbox_clear(&to_hub);
}

/* Puts a batch whose single message has a body of len bytes. */
static void put(Outbox *outbox, size_t len) {
    uint8_t *body = calloc(1, len ? len : 1);

    CU_ASSERT_PTR_NOT_NULL_FATAL(body);
    CU_ASSERT_EQUAL(outbox_put(outbox, LANE_BULK,
                               &(Message){.op = OP_OK, .id = 1, .body = span_of(body, len)}, NULL),
                    0);
    free(body);
}

static void batches_go_both_ways_and_leave_no_memory(void) {
    unsigned n = 0;
    Span last;

    open_pair(&buffer);
    shake_hands();
    for (int i = 0; i < 3; i++)
        put(&to_client, 100);
    CU_ASSERT_EQUAL(connection_send(&hub, &to_client), 0);
    receive(&client, &n, &last);
    CU_ASSERT_EQUAL(n, 1); /* three messages in one batch */
    put(&to_hub, 10);
    CU_ASSERT_EQUAL(connection_send(&client, &to_hub), 0);
    receive(&hub, &n, &last);
    CU_ASSERT_EQUAL(n, 2);
    CU_ASSERT_EQUAL(connection_input_memory(&hub) + hub.sending_memory, 0);
    close_pair();
}

static void sending_continues_after_a_full_socket(void) {
    unsigned n = 0;
    Span last;

    open_pair(&buffer);
    shake_hands();
    for (int i = 0; i < 60; i++)
        put(&to_client, 60000);
    CU_ASSERT_EQUAL(connection_send(&hub, &to_client), -EAGAIN);
    CU_ASSERT(hub.sending_bytes > 0);
    CU_ASSERT(hub.sending_bytes < 1u << 20);
    for (int i = 0; i < 200 && connection_has_output(&hub); i++) {
        receive(&client, &n, &last);
        connection_send(&hub, &to_client);
    }
    receive(&client, &n, &last);
    CU_ASSERT_EQUAL(to_client.held, 0);
    CU_ASSERT_FALSE(connection_has_output(&hub));
    CU_ASSERT_EQUAL(n, 6); /* large messages fill batches of 640 KiB */
    close_pair();
}

/* Reads the records of a batch: PARTs, and the message behind them. Returns the bytes in PARTs. */
static size_t take_batch(Inbox *inbox, Span batch, Message *message, const void **block) {
    size_t n = 0;
    Message next;
    Reader reader;

    CU_ASSERT_EQUAL(batch_open(&reader, batch.data, batch.len), 0);
    CU_ASSERT_EQUAL(inbox_charge(inbox, batch.len), 0);
    while (message_read(&reader, &next) == 1) {
        if (next.op == OP_PART) {
            n += next.body.len;
            CU_ASSERT_EQUAL(inbox_part(inbox, &next), 0);
            continue;
        }
        *message = next;
        CU_ASSERT_EQUAL(inbox_body(inbox, message, block), 0);
    }
    return n;
}

/* Reads the received bytes; collects PARTs and the body of the message behind them. */
static void collect(Inbox *inbox, Message *message, const void **block) {
    Span batch;

    while (connection_read(&client, NOW) > 0)
        while (connection_next(&client, NULL, &batch) == ZMTP_EVENT_MESSAGE)
            take_batch(inbox, batch, message, block);
}

/* The socket accepts the frames in pieces of any length. */
static void a_lent_body_arrives_whole_and_is_released(void) {
    enum { LEN = 3 * 1000 * 1000 + 7 };
    uint8_t *body = ferry_alloc(LEN);
    Inbox inbox = {.max_body = LEN, .granted = 2 * LEN};
    Message message = {.op = OP_PING};
    const void *block = NULL;

    CU_ASSERT_PTR_NOT_NULL_FATAL(body);
    for (size_t i = 0; i < LEN; i++)
        body[i] = (uint8_t)(i * 7 + i / 251);
    open_pair(&buffer);
    shake_hands();
    CU_ASSERT_EQUAL(outbox_put(&to_client, LANE_CALLS,
                               &(Message){.op = OP_OK, .id = 9, .body = span_of(body, LEN)}, body),
                    0);
    CU_ASSERT_FALSE(block_is_sole(body));
    for (int i = 0; i < 1000 && message.op != OP_OK; i++) {
        connection_send(&hub, &to_client);
        CU_ASSERT(hub.sending_memory < 1u << 20);
        collect(&inbox, &message, &block);
    }
    CU_ASSERT_EQUAL(message.op, OP_OK);
    CU_ASSERT_EQUAL(message.id, 9);
    CU_ASSERT_EQUAL(message.body.len, LEN);
    CU_ASSERT_EQUAL(memcmp(message.body.data, body, LEN), 0);
    CU_ASSERT_TRUE(block_is_sole(body));
    CU_ASSERT_EQUAL(hub.sending_memory, 0);
    ferry_free(block);
    ferry_free(body);
    close_pair();
}

/* Reads at most max bytes. */
static int read_some(Connection *connection, size_t max) {
    size_t cap = connection->cap, size = buffer.size;
    ReadBuffer small = {space, max < size ? max : size};
    int r;

    connection->buffer = &small;
    if (connection->block && max < cap)
        connection->cap = (size_t)(connection->end - connection->block) + max;
    connection->cap = connection->cap < cap ? connection->cap : cap;
    r = connection_read(connection, NOW);
    if (connection->block)
        connection->cap = cap;
    connection->buffer = &buffer;
    return r;
}

/* The first PART announces the size of the body. After it, only the kernel copies the body. */
static void check_landing(size_t piece) {
    enum { LEN = 700 * 1000 + 7 };
    uint8_t *body = ferry_alloc(LEN);
    Inbox inbox = {.max_body = LEN, .granted = 2 * LEN};
    Message message = {.op = OP_PING};
    const void *block = NULL;
    size_t copied = 0, most = 0;
    Span batch;
    int event;

    CU_ASSERT_PTR_NOT_NULL_FATAL(body);
    for (size_t i = 0; i < LEN; i++)
        body[i] = (uint8_t)(i * 7 + i / 251);
    open_pair(&buffer);
    shake_hands();
    outbox_put(&to_hub, LANE_CALLS, &(Message){.op = OP_OK, .id = 9, .body = span_of(body, LEN)},
               body);
    while (message.op != OP_OK) {
        connection_send(&client, &to_hub);
        CU_ASSERT_FATAL(read_some(&hub, piece) >= 0);
        while ((event = connection_next(&hub, &inbox, &batch)) == ZMTP_EVENT_MESSAGE)
            copied += take_batch(&inbox, batch, &message, &block);
        CU_ASSERT_EQUAL_FATAL(event, ZMTP_EVENT_MORE);
        if (copied > 0 && connection_input_memory(&hub) > most)
            most = connection_input_memory(&hub);
    }
    CU_ASSERT(copied <= 2 * WIRE_PART);
    CU_ASSERT(most <= 1024);
    CU_ASSERT(inbox.charged > LEN);
    CU_ASSERT(inbox.charged < LEN + 1000);
    CU_ASSERT_EQUAL(inbox.landed, 0);
    CU_ASSERT_EQUAL_FATAL(message.body.len, LEN);
    CU_ASSERT_EQUAL(memcmp(message.body.data, body, LEN), 0);
    ferry_free(block);
    ferry_free(body);
    close_pair();
}

static void the_body_of_a_part_is_read_into_its_transfer(void) {
    for (size_t piece = 50; piece < 200 * 1000; piece = piece * 3 / 2 + 7)
        check_landing(piece);
}

static void a_part_of_an_unknown_transfer_does_not_land(void) {
    Inbox inbox = {.max_body = 1 << 20, .granted = 1 << 20};
    Message message, part = {.op = OP_PART, .part.transfer = 1, .body = span_of(space, 30000)};
    const void *block = NULL;
    Span batch;

    open_pair(&buffer);
    shake_hands();
    for (int i = 0; i < 2; i++)
        outbox_put(&to_hub, LANE_CALLS, &part, NULL);
    CU_ASSERT_EQUAL(connection_send(&client, &to_hub), 0);
    CU_ASSERT_EQUAL(read_some(&hub, 40000), 1);
    CU_ASSERT_EQUAL(connection_next(&hub, &inbox, &batch), ZMTP_EVENT_MORE);
    CU_ASSERT_EQUAL(hub.landing_left, 0);
    CU_ASSERT_EQUAL(connection_read(&hub, NOW), 1);
    CU_ASSERT_EQUAL(connection_next(&hub, &inbox, &batch), ZMTP_EVENT_MESSAGE);
    CU_ASSERT_EQUAL(take_batch(&inbox, batch, &message, &block), 60000);
    CU_ASSERT_EQUAL(inbox.charged, batch.len);
    inbox_clear(&inbox);
    close_pair();
}

static void closing_releases_a_lent_body(void) {
    enum { LEN = 3 * 1000 * 1000 };
    uint8_t *body = ferry_alloc(LEN);

    CU_ASSERT_PTR_NOT_NULL_FATAL(body);
    memset(body, 1, LEN);
    open_pair(&buffer);
    shake_hands();
    outbox_put(&to_client, LANE_CALLS, &(Message){.op = OP_OK, .id = 9, .body = span_of(body, LEN)},
               body);
    CU_ASSERT_EQUAL(connection_send(&hub, &to_client), -EAGAIN);
    close_pair();
    CU_ASSERT_TRUE(block_is_sole(body));
    ferry_free(body);
}

static void a_full_socket_shrinks_small_chunks(void) {
    open_pair(&buffer);
    shake_hands();
    for (int i = 0; i < 2000 && connection_send(&hub, &to_client) == 0; i++)
        put(&to_client, 60000);
    CU_ASSERT(hub.sending_bytes > 0);
    while (hub.sending && hub.sending->next) { /* keep one chunk, so that the socket stays full */
        Chunk *next = hub.sending->next;

        hub.sending_bytes -= next->frame_len;
        hub.n_sending--;
        DL_DELETE(hub.sending, next);
        chunk_free(next);
    }
    outbox_clear(&to_client);
    to_client.credit = 1 << 30;
    put(&to_client, 10);
    CU_ASSERT_EQUAL(connection_send(&hub, &to_client), -EAGAIN);
    CU_ASSERT_EQUAL(hub.n_sending, 2);
    CU_ASSERT(hub.sending->prev->cap < 200);
    close_pair();
}

/* Writes bytes as they are into the client's end. */
static void write_bytes(const void *bytes, size_t len) {
    CU_ASSERT_EQUAL(write(client.fd, bytes, len), (ssize_t)len);
}

static void a_block_of_an_untrusted_peer_grows_with_its_bytes(void) {
    static const uint8_t head[9] = {2, 0, 0, 0, 0, 0, 9, 0, 0};
    static uint8_t zeros[5000];
    unsigned n = 0;
    Span last;

    open_pair(&buffer);
    shake_hands();
    write_bytes(head, sizeof(head));
    receive(&hub, &n, &last);
    CU_ASSERT(hub.cap <= 1024);
    write_bytes(zeros, sizeof(zeros));
    receive(&hub, &n, &last);
    CU_ASSERT(hub.cap < 20000);
    /* A trusted peer gets a block for the whole frame at once, so its bytes do not move. */
    hub.trusted = true;
    write_bytes(zeros, sizeof(zeros));
    receive(&hub, &n, &last);
    write_bytes(zeros, sizeof(zeros));
    receive(&hub, &n, &last);
    CU_ASSERT_EQUAL(hub.cap, 0x90000 + 9);
    CU_ASSERT_EQUAL(n, 0);
    close_pair();
}

static void held_bytes_do_not_move(void) {
    const uint8_t *held;
    unsigned n = 0;
    uint8_t *kept;
    Span last;

    open_pair(&buffer);
    shake_hands();
    put(&to_client, 5000);
    connection_send(&hub, &to_client);
    CU_ASSERT_EQUAL(connection_read(&client, NOW), 1);
    CU_ASSERT_EQUAL(connection_next(&client, NULL, &last), ZMTP_EVENT_MESSAGE);
    held = ferry_keep(client.block);
    kept = malloc(last.len);
    CU_ASSERT_PTR_NOT_NULL_FATAL(kept);
    memcpy(kept, last.data, last.len);
    for (int i = 0; i < 20; i++) {
        Span other;

        put(&to_client, 60000);
        connection_send(&hub, &to_client);
        receive(&client, &n, &other);
    }
    CU_ASSERT_EQUAL(n, 20);
    CU_ASSERT_EQUAL(memcmp(kept, last.data, last.len), 0);
    ferry_free(held);
    free(kept);
    close_pair();
}

static void bytes_after_a_failure_are_dropped(void) {
    static uint8_t zeros[60000];
    unsigned n = 0;
    Span last;

    open_pair(&buffer);
    shake_hands();
    write_bytes("\1", 1);
    write_bytes(zeros, sizeof(zeros));
    CU_ASSERT_EQUAL(receive(&hub, &n, &last), ZMTP_EVENT_FAILED);
    for (int i = 0; i < 3; i++) {
        write_bytes(zeros, sizeof(zeros));
        CU_ASSERT_EQUAL(receive(&hub, &n, &last), ZMTP_EVENT_FAILED);
    }
    CU_ASSERT_EQUAL(connection_input_memory(&hub) + hub.sending_memory, 0);
    close_pair();
}

static void the_end_of_a_connection_differs_from_silence(void) {
    open_pair(&buffer);
    CU_ASSERT_EQUAL(connection_read(&hub, NOW), 0);
    close(client.fd);
    client.fd = -1;
    CU_ASSERT_EQUAL(connection_read(&hub, NOW), -ENODATA);
    CU_ASSERT(connection_send(&hub, &to_client) < 0);
    close_pair();
}

/* ---- signs of life ---- */

static void a_silent_peer_gets_a_ping_and_then_counts_as_dead(void) {
    uint64_t now_ms = NOW + CONNECTION_PING_AFTER_MS;

    open_pair(&buffer);
    shake_hands();
    CU_ASSERT_EQUAL(connection_next_look(&hub), now_ms);
    CU_ASSERT_TRUE(connection_look(&hub, now_ms - 1));
    CU_ASSERT_FALSE(connection_has_output(&hub));
    CU_ASSERT_TRUE(connection_look(&hub, now_ms));
    CU_ASSERT_TRUE(connection_has_output(&hub));
    CU_ASSERT_EQUAL(connection_send(&hub, &to_client), 0);
    /* The other end is stopped and does not read. */
    while (now_ms < NOW + CONNECTION_SILENCE_MAX_MS) {
        CU_ASSERT_TRUE(connection_look(&hub, now_ms));
        now_ms = connection_next_look(&hub);
    }
    CU_ASSERT_FALSE(connection_look(&hub, now_ms));
    CU_ASSERT(now_ms <= NOW + 8000);
    close_pair();
}

static void a_peer_that_answers_is_alive(void) {
    unsigned n = 0;
    Span last;

    open_pair(&buffer);
    shake_hands();
    CU_ASSERT_TRUE(connection_look(&hub, NOW + CONNECTION_PING_AFTER_MS));
    connection_send(&hub, &to_client);
    CU_ASSERT_EQUAL(receive(&client, &n, &last), ZMTP_EVENT_PING);
    connection_send(&client, &to_hub);
    CU_ASSERT_EQUAL(receive(&hub, &n, &last), ZMTP_EVENT_PONG);
    CU_ASSERT_EQUAL(connection_next_look(&hub), NOW + CONNECTION_PING_AFTER_MS);
    close_pair();
}

static void a_slow_line_that_moves_is_alive(void) {
    uint64_t now_ms = NOW + CONNECTION_PING_AFTER_MS;
    unsigned n = 0;
    Span last;

    open_pair(&buffer);
    shake_hands();
    for (int i = 0; i < 20; i++)
        put(&to_client, 60000);
    CU_ASSERT_EQUAL(connection_send(&hub, &to_client), -EAGAIN);
    CU_ASSERT_TRUE(connection_look(&hub, now_ms));
    /* The other end reads slowly, so its answer takes longer than the longest allowed silence. */
    for (int i = 0; i < 18; i++) {
        Span one;
        bool alive;

        if (i % 3 == 2) {
            connection_read(&client, now_ms);
            while (connection_next(&client, NULL, &one) > ZMTP_EVENT_MORE)
                continue;
        }
        now_ms = connection_next_look(&hub);
        alive = connection_look(&hub, now_ms);
        CU_ASSERT_TRUE(alive);
        connection_send(&hub, &to_client);
    }
    CU_ASSERT(now_ms > NOW + CONNECTION_SILENCE_MAX_MS);
    CU_ASSERT(hub.ping_ends_at != 0);
    receive(&client, &n, &last);
    connection_send(&client, &to_hub);
    CU_ASSERT_EQUAL(receive(&hub, &n, &last), ZMTP_EVENT_PONG);
    close_pair();
}

static void the_time_while_the_process_was_stopped_does_not_count(void) {
    uint64_t now_ms = NOW + CONNECTION_PING_AFTER_MS;

    open_pair(&buffer);
    shake_hands();
    CU_ASSERT_TRUE(connection_look(&hub, now_ms + 100000));
    connection_send(&hub, &to_client);
    CU_ASSERT_TRUE(connection_look(&hub, now_ms + 100500));
    CU_ASSERT_TRUE(connection_look(&hub, now_ms + 200000));
    /* Then the rest of the allowed silence passes. */
    for (uint64_t at_ms = 200500; at_ms < 203000; at_ms += 500)
        CU_ASSERT_TRUE(connection_look(&hub, now_ms + at_ms));
    CU_ASSERT_FALSE(connection_look(&hub, now_ms + 203000));
    close_pair();
}

/* A frame that is cut by the end of the buffer does not need a read of its own. */
static void reads_of_a_busy_peer_are_large(void) {
    unsigned n_reads = 0, n = 0;
    Span message;

    open_pair(&buffer);
    shake_hands();
    hub.trusted = true;
    for (int i = 0; i < 200; i++)
        put(&to_hub, 500);
    CU_ASSERT(outbox_bytes(&to_hub) > sizeof(space));
    connection_send(&client, &to_hub);
    while (connection_read(&hub, NOW) > 0) {
        int event;

        n_reads++;
        while ((event = connection_next(&hub, NULL, &message)) == ZMTP_EVENT_MESSAGE)
            n++;
        CU_ASSERT_EQUAL_FATAL(event, ZMTP_EVENT_MORE);
    }
    CU_ASSERT(n >= 2);
    CU_ASSERT_EQUAL(n_reads, 2);
    close_pair();
}

static void a_large_block_is_given_back(void) {
    unsigned n = 0;
    Span last;

    open_pair(&buffer);
    shake_hands();
    client.trusted = true;
    for (int i = 0; i < 6; i++)
        put(&to_client, 100000);
    while (n == 0 || connection_has_output(&hub)) {
        connection_send(&hub, &to_client);
        receive(&client, &n, &last);
    }
    CU_ASSERT_EQUAL(n, 1);
    CU_ASSERT(connection_input_memory(&client) + client.sending_memory > 600000);
    connection_trim(&client);
    CU_ASSERT_EQUAL(connection_input_memory(&client) + client.sending_memory, 0);
    put(&to_client, 100);
    connection_send(&hub, &to_client);
    receive(&client, &n, &last);
    CU_ASSERT_EQUAL(n, 2);
    connection_trim(&client);
    CU_ASSERT(connection_input_memory(&client) + client.sending_memory > 0);
    close_pair();
}

static void a_beat_sends_a_ping(void) {
    unsigned n = 0;
    Span last;

    open_pair(&buffer);
    shake_hands();
    connection_beat(&client);
    CU_ASSERT_EQUAL(receive(&hub, &n, &last), ZMTP_EVENT_PING);
    CU_ASSERT_EQUAL(connection_send(&hub, &to_client), 0);
    CU_ASSERT_EQUAL(receive(&client, &n, &last), ZMTP_EVENT_PONG);
    CU_ASSERT_EQUAL(n, 0);
    close_pair();
}

/* Beats send the frames that a full socket refused; a PING follows the last of them. */
static void beats_send_the_rest_of_a_frame(void) {
    int event = ZMTP_EVENT_MORE;
    unsigned n = 0;
    Span last;

    open_pair(&buffer);
    shake_hands();
    for (int i = 0; i < 60; i++)
        put(&to_hub, 60000);
    CU_ASSERT_EQUAL(connection_send(&client, &to_hub), -EAGAIN);
    for (int i = 0; i < 200 && event != ZMTP_EVENT_PING; i++) {
        size_t left = client.sending_bytes;

        connection_beat(&client);
        CU_ASSERT(client.sending_bytes <= left);
        event = receive(&hub, &n, &last);
    }
    CU_ASSERT_EQUAL(event, ZMTP_EVENT_PING);
    CU_ASSERT_EQUAL(client.sending_bytes, 0);
    for (int i = 0; i < 200 && n < 6; i++) {
        connection_send(&client, &to_hub);
        receive(&hub, &n, &last);
    }
    CU_ASSERT_EQUAL(n, 6); /* large messages fill batches of 640 KiB */
    close_pair();
}

static bool admits_all(const uint8_t key[KEY_SIZE], void *ctx) {
    (void)key, (void)ctx;
    return true;
}

static void keys_cost_memory_only_on_connections_with_keys(void) {
    CurveKeys hub_keys = {.is_server = true, .n_pairs = 1, .admits = admits_all};
    CurveKeys client_keys = {.n_pairs = 1};
    KeyPair *broker_pair, *client_pair;
    int fds[2];

    CU_ASSERT_EQUAL_FATAL(key_pair_new(&broker_pair), 0);
    CU_ASSERT_EQUAL_FATAL(key_pair_new(&client_pair), 0);
    hub_keys.pairs[0] = broker_pair;
    client_keys.pairs[0] = client_pair;
    memcpy(client_keys.server_key, broker_pair->public_key, KEY_SIZE);
    open_pair(&buffer);
    CU_ASSERT_PTR_NULL(hub.curve);
    CU_ASSERT_PTR_NULL(client.curve);
    close_pair();
    CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    oom_plan(1);
    CU_ASSERT_EQUAL(connection_open(&hub, fds[0], true, &buffer, &hub_keys, NOW), -ENOMEM);
    oom_stop();
    CU_ASSERT_EQUAL(connection_open(&hub, fds[0], true, &buffer, &hub_keys, NOW), 0);
    CU_ASSERT_EQUAL(connection_open(&client, fds[1], false, NULL, &client_keys, NOW), 0);
    to_client = to_hub = (Outbox){.credit = 1 << 30};
    CU_ASSERT_PTR_NULL(connection_key(&hub));
    shake_hands();
    CU_ASSERT_PTR_NOT_NULL_FATAL(connection_key(&hub));
    CU_ASSERT_EQUAL(memcmp(connection_key(&hub), client_pair->public_key, KEY_SIZE), 0);
    close_pair();
    CU_ASSERT_PTR_NULL(hub.curve);
    key_pair_free(broker_pair);
    key_pair_free(client_pair);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(batches_go_both_ways_and_leave_no_memory),
        TEST(sending_continues_after_a_full_socket),
        TEST(a_lent_body_arrives_whole_and_is_released),
        TEST(the_body_of_a_part_is_read_into_its_transfer),
        TEST(a_part_of_an_unknown_transfer_does_not_land),
        TEST(closing_releases_a_lent_body),
        TEST(a_full_socket_shrinks_small_chunks),
        TEST(a_block_of_an_untrusted_peer_grows_with_its_bytes),
        TEST(held_bytes_do_not_move),
        TEST(bytes_after_a_failure_are_dropped),
        TEST(the_end_of_a_connection_differs_from_silence),
        TEST(a_silent_peer_gets_a_ping_and_then_counts_as_dead),
        TEST(a_peer_that_answers_is_alive),
        TEST(a_slow_line_that_moves_is_alive),
        TEST(the_time_while_the_process_was_stopped_does_not_count),
        TEST(reads_of_a_busy_peer_are_large),
        TEST(a_large_block_is_given_back),
        TEST(a_beat_sends_a_ping),
        TEST(beats_send_the_rest_of_a_frame),
        TEST(keys_cost_memory_only_on_connections_with_keys),
        TESTS_END,
    };

    return run_suite("rpc/link connection", tests);
}
