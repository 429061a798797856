/* SPDX-License-Identifier: Apache-2.0 */

/* The examples caps (a stream) and zen (servers that wait). */

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>

#include "caps.h"
#include "examples/stage.h"
#include "zen.h"

enum { PIECE = 32 * 1024, TOTAL = 100 * 1000 * 1000 };

/* ---- the hazard: both ends write, and neither reads ---- */

static size_t write_until_full(int fd) {
    static const char text[PIECE];
    size_t written = 0;
    ssize_t n;

    while ((n = send(fd, text, sizeof(text), MSG_DONTWAIT)) > 0)
        written += (size_t)n;
    CU_ASSERT(n < 0 && errno == EAGAIN);
    return written;
}

static void two_that_write_first_wait_for_ever(void) {
    size_t there, back;
    int fds[2];

    tcp_pair(fds);
    there = write_until_full(fds[0]);
    back = write_until_full(fds[1]);
    /* With blocking sockets both ends would wait in send() now, long before 100 MB were sent. */
    CU_ASSERT(there > 0 && there < TOTAL && back > 0 && back < TOTAL);
    close(fds[0]);
    close(fds[1]);
}

/* ---- caps ---- */

static long rss_kib(pid_t pid) {
    char path[64], line[256];
    long kib = -1;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    file = fopen(path, "r");
    while (file && fgets(line, sizeof(line), file))
        if (sscanf(line, "VmHWM: %ld", &kib) == 1)
            break;
    if (file)
        fclose(file);
    return kib;
}

typedef struct Transfer {
    uint64_t sent, received, total;
    int over;
    bool reads;
    int code;
} Transfer;

static char text[PIECE], capitals[PIECE];

static void pump(ferry_stream *stream, void *ctx) {
    Transfer *t = ctx;
    ferry_bytes *piece;
    int r = 0;

    while (r == 0 && t->sent < t->total) {
        size_t n = t->total - t->sent < PIECE ? (size_t)(t->total - t->sent) : PIECE;

        r = caps_capitalize_send(stream, ferry_bytes_of(text, n), NULL);
        t->sent += r == 0 ? n : 0;
        if (t->sent == t->total)
            r = caps_capitalize_end(stream, NULL);
    }
    if (!t->reads)
        return;
    while ((r = caps_capitalize_next(stream, &piece, NULL)) > 0) {
        if (memcmp(piece->data, capitals, piece->len) != 0)
            t->code = -EBADMSG;
        t->received += piece->len;
        ferry_free(piece);
    }
    if (r != -EAGAIN) {
        t->code = t->code < 0 ? t->code : r;
        t->over = 1;
    }
}

/* Begins to read after late_ms. */
static void transfer(uint64_t total, uint64_t late_ms) {
    Transfer t = {.total = total, .reads = late_ms == 0};
    ferry_stream *stream = NULL;
    int never = 0;
    uint64_t until_ms;
    Stage stage;

    for (size_t i = 0; i < PIECE; i += 16) {
        memcpy(text + i, "capitalize this!", 16);
        memcpy(capitals + i, "CAPITALIZE THIS!", 16);
    }
    stage_open(&stage, caps_start);
    CU_ASSERT_EQUAL(caps_capitalize(stage.client, &stream, &stage.error), 0);
    CU_ASSERT_EQUAL(ferry_stream_watch(stream, pump, &t), 0);
    for (until_ms = clock_ms() + late_ms; clock_ms() < until_ms || (late_ms > 0 && t.sent == 0);
         usleep(1000))
        ferry_process(stage.client, &stage.error);
    if (late_ms > 0) {
        CU_ASSERT(t.sent > 0 && t.sent < 2 * 1024 * 1024); /* the writer waited */
        t.reads = true;
        pump(stream, &t);
    }
    for (until_ms = clock_ms() + 60000; !t.over && clock_ms() < until_ms;)
        process_until(stage.client, total > 0 ? &t.over : &never, 1);
    CU_ASSERT_EQUAL(t.code, 0);
    CU_ASSERT_EQUAL(t.received, total);
    ferry_stream_close(stream);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    printf("(broker %ld KiB, client and worker together %ld KiB) ", rss_kib(stage.broker.pid),
           rss_kib(getpid()));
    CU_ASSERT(rss_kib(stage.broker.pid) < 16 * 1024);
    CU_ASSERT(rss_kib(getpid()) < 16 * 1024);
#else
    (void)rss_kib;
#endif
    stage_close(&stage);
}

static void a_hundred_megabytes_go_through_in_little_memory(void) {
    transfer(TOTAL, 0);
}

static void a_late_reader_holds_the_writer_back(void) {
    transfer(TOTAL / 5, 1500);
}

static void octets_outside_ascii_are_a_typed_error_with_their_place(void) {
    ferry_stream *stream = NULL;
    const caps_not_ascii *e;
    ferry_bytes *piece = NULL;
    Stage stage;
    int r;

    stage_open(&stage, caps_start);
    CU_ASSERT_EQUAL(caps_capitalize(stage.client, &stream, &stage.error), 0);
    CU_ASSERT_EQUAL(caps_capitalize_send(stream, ferry_str("good"), &stage.error), 0);
    CU_ASSERT_EQUAL(caps_capitalize_next(stream, &piece, &stage.error), 1);
    CU_ASSERT(piece && piece->len == 4 && memcmp(piece->data, "GOOD", 4) == 0);
    ferry_free(piece);
    CU_ASSERT_EQUAL(caps_capitalize_send(stream, ferry_str("ba\xc3\xa4"), &stage.error), 0);
    r = caps_capitalize_next(stream, &piece, &stage.error);
    CU_ASSERT_EQUAL(r, -EREMOTEIO);
    e = caps_not_ascii_in(&stage.error);
    CU_ASSERT(e && e->offset == 6 && e->value == 0xc3);
    ferry_stream_close(stream);
    stage_close(&stage);
}

/* ---- zen ---- */

static void unknown_questions_are_typed_with_the_known_ones(void) {
    const zen_unknown_question *e;
    char *answer = NULL;
    Stage stage;

    stage_open(&stage, zen_start);
    CU_ASSERT_EQUAL(
        zen_answer(stage.client, "Simple is better than?", NULL, NULL, &answer, &stage.error), 0);
    CU_ASSERT_STRING_EQUAL(answer, "Complex.");
    ferry_free(answer);
    CU_ASSERT_EQUAL(zen_answer(stage.client, "Why?", NULL, NULL, &answer, &stage.error),
                    -EREMOTEIO);
    e = zen_unknown_question_in(&stage.error);
    CU_ASSERT(e && strcmp(e->question, "Why?") == 0 && e->known.n == 3);
    CU_ASSERT_EQUAL(zen_answer(stage.client, "Why?", &(int32_t){1001}, NULL, &answer, &stage.error),
                    -EREMOTEIO);
    CU_ASSERT(zen_bad_pace_in(&stage.error) && zen_bad_pace_in(&stage.error)->wait_ms == 1001);
    stage_close(&stage);
}

static void count_answer(const char *answer, const ferry_error *error, void *ctx) {
    CU_ASSERT(!error && strcmp(answer, "Complex.") == 0);
    ++*(int *)ctx;
}

/* The hazard: a server that handles one connection at a time makes each client wait for all earlier
 * ones. */
static void a_single_server_makes_everybody_wait(void) {
    uint64_t started_ms;
    int n = 0;
    Stage stage;

    stage_open(&stage, zen_start);
    started_ms = clock_ms();
    for (int i = 0; i < 10; i++)
        CU_ASSERT_EQUAL(zen_answer_async(stage.client, "Simple is better than?", &(int32_t){30},
                                         NULL, count_answer, &n, NULL),
                        0);
    CU_ASSERT_TRUE(process_until(stage.client, &n, 10));
    CU_ASSERT(clock_ms() - started_ms >= 10 * 30);
    stage_close(&stage);
}

static pid_t start_model(const TestBroker *broker, const char *model) {
    pid_t pid = fork();

    if (pid == 0) {
        setenv("FERRY_URL", broker->url, 1);
        execl(getenv("ZEN_SERVER"), "zen-server", "--model", model, "4", NULL);
        _exit(127);
    }
    return pid;
}

static void every_model_answers_and_stops_when_told(void) {
    static const char *const models[] = {"single", "threads", "processes", "async"};
    Stage stage;

    stage_open(&stage, caps_start); /* zen itself is served below */
    for (size_t i = 0; i < sizeof(models) / sizeof(*models); i++) {
        pid_t pid = start_model(&stage.broker, models[i]);
        uint64_t until_ms = clock_ms() + 60000;
        ferry_list_string *known = NULL;
        int n = 0, status = -1;

        while (zen_questions(stage.client, &known, &stage.error) < 0 && clock_ms() < until_ms)
            usleep(20000);
        CU_ASSERT(known && known->n == 3);
        ferry_free(known);
        for (int k = 0; k < 64; k++)
            CU_ASSERT_EQUAL(zen_answer_async(stage.client, "Simple is better than?",
                                             &(int32_t){k % 3}, NULL, count_answer, &n, NULL),
                            0);
        CU_ASSERT_TRUE(process_until(stage.client, &n, 64));
        kill(pid, SIGTERM);
        CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
        CU_ASSERT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    stage_close(&stage);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(a_hundred_megabytes_go_through_in_little_memory),
        TEST(two_that_write_first_wait_for_ever),
        TEST(a_late_reader_holds_the_writer_back),
        TEST(octets_outside_ascii_are_a_typed_error_with_their_place),
        TEST(unknown_questions_are_typed_with_the_known_ones),
        TEST(a_single_server_makes_everybody_wait),
        TEST(every_model_answers_and_stops_when_told),
        TESTS_END,
    };

    return run_suite("examples caps and zen", tests);
}
