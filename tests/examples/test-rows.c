/* SPDX-License-Identifier: Apache-2.0 */

/* The short examples: sixteen, rollcall, arith. */

#include <netinet/in.h>
#include <sys/socket.h>

#include "arith.h"
#include "examples/stage.h"
#include "rollcall.h"
#include "sixteen.h"

/* ---- sixteen ---- */

static void one_recv_is_not_all(void) {
    char got[16];
    int fds[2];

    tcp_pair(fds);
    CU_ASSERT_EQUAL(send(fds[0], "10101010", 8, 0), 8);
    CU_ASSERT_EQUAL(recv(fds[1], got, sizeof(got), 0), 8); /* sixteen were asked for */
    close(fds[0]);
    CU_ASSERT_EQUAL(recv(fds[1], got, sizeof(got), 0), 0); /* and no error reports it */
    close(fds[1]);
}

static int collect(Stage *stage, size_t n, size_t piece, ferry_bytes **reply) {
    FERRY_AUTO(ferry_stream_close) ferry_stream *stream = NULL;
    int r = sixteen_collect(stage->client, &stream, &stage->error);

    for (size_t at = 0; r == 0 && at < n; at += piece)
        r = sixteen_collect_send(
            stream, ferry_bytes_of("0123456789abcdef0123", piece < n - at ? piece : n - at),
            &stage->error);
    return r == 0 ? sixteen_collect_end(stream, reply, &stage->error) : r;
}

static void sixteen_come_in_any_pieces(void) {
    Stage stage;

    stage_open(&stage, sixteen_start);
    for (size_t piece = 1; piece <= SIXTEEN_LENGTH; piece++) {
        ferry_bytes *reply = NULL;

        CU_ASSERT_EQUAL(collect(&stage, SIXTEEN_LENGTH, piece, &reply), 0);
        CU_ASSERT(reply && reply->len == 16 && memcmp(reply->data, "Request received", 16) == 0);
        ferry_free(reply);
    }
    stage_close(&stage);
}

static void any_other_number_is_typed_with_both_counts(void) {
    Stage stage;

    stage_open(&stage, sixteen_start);
    for (size_t n = 0; n <= 20; n++) {
        ferry_bytes *reply = NULL;
        const sixteen_short_input *cut;
        const sixteen_long_input *more;

        if (n == SIXTEEN_LENGTH)
            continue;
        CU_ASSERT_EQUAL(collect(&stage, n, 3, &reply), -EREMOTEIO);
        cut = sixteen_short_input_in(&stage.error);
        more = sixteen_long_input_in(&stage.error);
        CU_ASSERT_EQUAL(cut != NULL, n < SIXTEEN_LENGTH);
        CU_ASSERT_EQUAL(more != NULL, n > SIXTEEN_LENGTH);
        CU_ASSERT(!cut || (cut->expected == SIXTEEN_LENGTH && cut->received == (int32_t)n));
        CU_ASSERT(!more || (more->expected == SIXTEEN_LENGTH && more->received > SIXTEEN_LENGTH));
        CU_ASSERT_EQUAL(sixteen_exchange(stage.client, ferry_bytes_of("0123456789abcdef0123", n),
                                         &reply, &stage.error),
                        -EREMOTEIO);
        CU_ASSERT_EQUAL(sixteen_short_input_in(&stage.error) != NULL, n < SIXTEEN_LENGTH);
    }
    stage_close(&stage);
}

/* ---- rollcall ---- */

static void one_recv_hears_one_of_all(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    int asker = socket(AF_INET, SOCK_DGRAM, 0), member;
    char answer[64];

    CU_ASSERT_EQUAL(bind(asker, (struct sockaddr *)&address, len), 0);
    CU_ASSERT_EQUAL(getsockname(asker, (struct sockaddr *)&address, &len), 0);
    for (int i = 0; i < 3; i++) {
        member = socket(AF_INET, SOCK_DGRAM, 0);
        CU_ASSERT_EQUAL(sendto(member, "here", 4, 0, (struct sockaddr *)&address, len), 4);
        close(member);
    }
    /* A client that reads once and ends leaves two answers unread. */
    CU_ASSERT_EQUAL(recv(asker, answer, sizeof(answer), 0), 4);
    CU_ASSERT_EQUAL(recv(asker, answer, sizeof(answer), MSG_DONTWAIT), 4);
    CU_ASSERT_EQUAL(recv(asker, answer, sizeof(answer), MSG_DONTWAIT), 4);
    close(asker);
}

enum { MEMBERS = 5, WINDOW_MS = 5000 };

static void be_late(const ferry_message *question, void *ctx) {
    while (!__atomic_load_n((bool *)ctx, __ATOMIC_ACQUIRE))
        usleep(1000);
    ferry_message_answer(question, ferry_str("late"));
}

static int join_late(ferry_client *client, void *ctx) {
    return ferry_subscribe(client, ROLLCALL_TOPIC, NULL, be_late, ctx, NULL, NULL);
}

static void count_card(const ferry_message *answer, void *ctx) {
    rollcall_card *card = NULL;

    CU_ASSERT_EQUAL(rollcall_card_unpack(answer->body, &card, NULL), 0);
    CU_ASSERT(card && card->pid == getpid() && card->up_ms >= 0);
    ferry_free(card);
    ++*(int *)ctx;
}

static int join(ferry_client *client, void *ctx) {
    (void)ctx;
    return rollcall_start(client, NULL);
}

static void all_answers_within_the_window_are_collected(void) {
    Runner more[MEMBERS - 1], late;
    rollcall_list_card *cards = NULL;
    bool is_over = false;
    Stage stage;
    int n = 0;

    stage_open(&stage, rollcall_start);
    for (int i = 0; i < MEMBERS - 1; i++)
        runner_start(&more[i], &stage.broker, join, NULL);
    CU_ASSERT_EQUAL(ferry_gather(stage.client, ROLLCALL_TOPIC, ferry_str("Who?"), WINDOW_MS,
                                 count_card, &n, &stage.error),
                    0);
    CU_ASSERT_EQUAL(n, MEMBERS);
    /* Through the service, which counts itself, too, and so waits for the end of the window. */
    CU_ASSERT_EQUAL(
        rollcall_call(stage.client, "Who?", &(int32_t){WINDOW_MS}, &cards, &stage.error), 0);
    CU_ASSERT(cards && cards->n == MEMBERS);
    ferry_free(cards);
    /* A late answer would be counted as an invalid card. */
    runner_start(&late, &stage.broker, join_late, &is_over);
    n = 0;
    CU_ASSERT_EQUAL(ferry_gather(stage.client, ROLLCALL_TOPIC, ferry_str("Who?"), 400, count_card,
                                 &n, &stage.error),
                    0);
    CU_ASSERT(n <= MEMBERS);
    __atomic_store_n(&is_over, true, __ATOMIC_RELEASE);
    for (int i = 0; i < MEMBERS - 1; i++)
        runner_stop(&more[i]);
    runner_stop(&late);
    stage_close(&stage);
}

static void a_window_without_sense_is_refused(void) {
    const int32_t bad[] = {0, -1, 10001, INT32_MIN};
    Stage stage;

    stage_open(&stage, rollcall_start);
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        rollcall_list_card *cards = NULL;
        const rollcall_bad_window *e;

        CU_ASSERT_EQUAL(rollcall_call(stage.client, "", &bad[i], &cards, &stage.error), -EREMOTEIO);
        e = rollcall_bad_window_in(&stage.error);
        CU_ASSERT(e && e->window_ms == bad[i]);
    }
    stage_close(&stage);
}

/* ---- arith ---- */

static void sums_that_do_not_fit_are_typed(void) {
    const arith_overflow *e;
    int64_t sum = 0;
    Stage stage;

    stage_open(&stage, arith_start);
    CU_ASSERT_EQUAL(arith_add(stage.client, INT64_MAX, INT64_MIN, &sum, &stage.error), 0);
    CU_ASSERT_EQUAL(sum, -1);
    CU_ASSERT_EQUAL(arith_add(stage.client, INT64_MAX, 1, &sum, &stage.error), -EREMOTEIO);
    e = arith_overflow_in(&stage.error);
    CU_ASSERT(e && e->a == INT64_MAX && e->b == 1);
    CU_ASSERT_EQUAL(arith_add(stage.client, INT64_MIN, -1, &sum, &stage.error), -EREMOTEIO);
    CU_ASSERT_PTR_NOT_NULL(arith_overflow_in(&stage.error));
    stage_close(&stage);
}

static void roots_are_right_or_said_not_to_be_there(void) {
    arith_roots *roots = NULL;
    Stage stage;

    stage_open(&stage, arith_start);
    CU_ASSERT_EQUAL(arith_quadratic(stage.client, 1, -5, 6, &roots, &stage.error), 0);
    CU_ASSERT(roots && roots->low == 2 && roots->high == 3);
    roots = (arith_roots *)ferry_free(roots);
    CU_ASSERT_EQUAL(arith_quadratic(stage.client, 1, 0, 0, &roots, &stage.error), 0);
    CU_ASSERT(roots && roots->low == 0 && roots->high == 0);
    roots = (arith_roots *)ferry_free(roots);
    CU_ASSERT_EQUAL(arith_quadratic(stage.client, 1, 1e9, 1, &roots, &stage.error), 0);
    CU_ASSERT(roots && roots->high < -0.99e-9 && roots->high > -1.01e-9);
    roots = (arith_roots *)ferry_free(roots);
    CU_ASSERT_EQUAL(arith_quadratic(stage.client, 1, 2, 5, &roots, &stage.error), -EREMOTEIO);
    CU_ASSERT(arith_no_real_roots_in(&stage.error) &&
              arith_no_real_roots_in(&stage.error)->discriminant == -16);
    CU_ASSERT_EQUAL(arith_quadratic(stage.client, 0, 2, 5, &roots, &stage.error), -EREMOTEIO);
    CU_ASSERT_PTR_NOT_NULL(arith_not_quadratic_in(&stage.error));
    CU_ASSERT_EQUAL(arith_quadratic(stage.client, 1, 1e300, 5, &roots, &stage.error), -EREMOTEIO);
    CU_ASSERT_PTR_NOT_NULL(arith_not_quadratic_in(&stage.error));
    stage_close(&stage);
}

static void every_type_comes_back_as_it_went(void) {
    const arith_map_string_list_double_entry entry = {"pi", {2, (const double[]){3.14, -0.0}}};
    arith_everything sent = ARITH_EVERYTHING_INIT, *got = NULL;
    ferry_bytes before, after;
    Stage stage;

    sent.truth = true;
    sent.tiny = INT8_MIN;
    sent.small = INT16_MAX;
    sent.medium = INT32_MIN;
    sent.large = INT64_MIN;
    sent.real = 5e-324;
    sent.text = "grüße, 世界";
    sent.bytes = ferry_bytes_of("\0\xff", 2);
    memset(sent.id.bytes, 0xab, sizeof(sent.id.bytes));
    sent.suit = ARITH_SUIT_SPADES;
    sent.number.which = ARITH_NUMBER_REAL;
    sent.number.real = 0.5;
    sent.roots = (arith_roots){-1, 1};
    sent.numbers = (ferry_list_i32){3, (const int32_t[]){1, -2, 3}};
    sent.names.n = 2;
    sent.names.v = (const char *const[]){"a", "b"};
    sent.table.n = 1;
    sent.table.v = &entry;
    sent.note = "";
    stage_open(&stage, arith_start);
    CU_ASSERT_EQUAL(arith_echo(stage.client, &sent, &got, &stage.error), 0);
    CU_ASSERT_PTR_NOT_NULL_FATAL(got);
    CU_ASSERT(got->answer && *got->answer == 42); /* absent: its default */
    sent.answer = got->answer;
    CU_ASSERT_EQUAL(arith_everything_pack(&sent, &before, &stage.error), 0);
    CU_ASSERT_EQUAL(arith_everything_pack(got, &after, &stage.error), 0);
    CU_ASSERT(before.len == after.len && memcmp(before.data, after.data, before.len) == 0);
    ferry_free(before.block);
    ferry_free(after.block);
    ferry_free(got);
    stage_close(&stage);
}

static void only_a_token_sets_the_number(void) {
    const ferry_header wrong = {"token", "please"}, right = {"token", "open sesame"};
    ferry_client *handle = NULL;
    int64_t before = 0, now = 0;
    Stage stage;

    stage_open(&stage, arith_start);
    CU_ASSERT_EQUAL(arith_remember(stage.client, 1, &before, &stage.error), -EACCES);
    CU_ASSERT_STRING_EQUAL(stage.error.type, "ferry.PermissionDenied");
    CU_ASSERT_EQUAL(ferry_with(stage.client, &(ferry_options){.n_headers = 1, .headers = &wrong},
                               &handle, NULL),
                    0);
    CU_ASSERT_EQUAL(arith_remember(handle, 1, &before, &stage.error), -EACCES);
    ferry_close(handle);
    CU_ASSERT_EQUAL(ferry_with(stage.client, &(ferry_options){.n_headers = 1, .headers = &right},
                               &handle, NULL),
                    0);
    CU_ASSERT_EQUAL(arith_remember(handle, 1, &before, &stage.error), 0);
    CU_ASSERT_EQUAL(arith_memory(stage.client, &now, &stage.error), 0);
    CU_ASSERT(before == 42 && now == 1);
    ferry_close(handle);
    stage_close(&stage);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(one_recv_is_not_all),
        TEST(sixteen_come_in_any_pieces),
        TEST(any_other_number_is_typed_with_both_counts),
        TEST(one_recv_hears_one_of_all),
        TEST(all_answers_within_the_window_are_collected),
        TEST(a_window_without_sense_is_refused),
        TEST(sums_that_do_not_fit_are_typed),
        TEST(roots_are_right_or_said_not_to_be_there),
        TEST(every_type_comes_back_as_it_went),
        TEST(only_a_token_sets_the_number),
        TESTS_END,
    };

    return run_suite("examples sixteen, rollcall, arith", tests);
}
