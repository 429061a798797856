/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/core/broker.h"

#include <unistd.h>

#include "support/suite.h"

static Broker broker;
static FILE *file;
static int saved;

/* From here on the test captures standard error. */
static void begin(void) {
    broker = (Broker){.now_ms = 5000};
    timers_init(&broker.timers, broker.now_ms);
    log_level = LOG_LEVEL_WARNING;
    saved = dup(STDERR_FILENO);
    file = tmpfile();
    dup2(fileno(file), STDERR_FILENO);
}

/* The number of log lines since begin() or since the last call. */
static unsigned n_lines(void) {
    unsigned n = 0;
    int c;

    fflush(stderr);
    rewind(file);
    while ((c = getc(file)) != EOF)
        n += c == '\n';
    CU_ASSERT_EQUAL(ftruncate(fileno(file), 0), 0);
    rewind(file);
    lseek(STDERR_FILENO, 0, SEEK_SET);
    return n;
}

static void end(void) {
    dup2(saved, STDERR_FILENO);
    close(saved);
    fclose(file);
}

static void log_many(unsigned n) {
    for (unsigned i = 0; i < n; i++)
        peer_log(&broker, LOG_LEVEL_WARNING, "junk: peer=%u", i);
}

static void pass(uint64_t ms) {
    broker.now_ms += ms;
    timers_run(&broker.timers, broker.now_ms, &broker);
}

static void a_few_lines_are_all_written(void) {
    begin();
    log_many(PEER_LOG_BURST);
    CU_ASSERT_EQUAL(n_lines(), PEER_LOG_BURST);
    pass(10000);
    CU_ASSERT_EQUAL(n_lines(), 0);
    end();
}

static void lines_beyond_the_burst_are_counted_and_reported(void) {
    char line[256] = "";

    begin();
    log_many(PEER_LOG_BURST + 4711);
    CU_ASSERT_EQUAL(n_lines(), PEER_LOG_BURST);
    pass(PEER_LOG_TELL_MS + 1);
    fflush(stderr);
    rewind(file);
    CU_ASSERT_PTR_NOT_NULL(fgets(line, sizeof(line), file));
    CU_ASSERT_PTR_NOT_NULL(strstr(line, "lines=4711\n"));
    CU_ASSERT_EQUAL(n_lines(), 1);
    pass(60000);
    CU_ASSERT_EQUAL(n_lines(), 0);
    end();
}

static void after_a_burst_lines_are_written_at_the_rate(void) {
    begin();
    log_many(PEER_LOG_BURST);
    n_lines();
    for (int i = 0; i < 20; i++) {
        broker.now_ms += PEER_LOG_EACH_MS / 2;
        log_many(50);
    }
    CU_ASSERT_EQUAL(n_lines(), 10);
    /* After a pause a whole burst is logged again. */
    broker.now_ms += PEER_LOG_BURST * PEER_LOG_EACH_MS;
    log_many(2 * PEER_LOG_BURST);
    CU_ASSERT_EQUAL(n_lines(), PEER_LOG_BURST);
    end();
}

static void lines_below_the_log_level_are_not_counted(void) {
    begin();
    for (int i = 0; i < 1000; i++)
        peer_log(&broker, LOG_LEVEL_INFO, "quiet");
    log_many(PEER_LOG_BURST);
    CU_ASSERT_EQUAL(n_lines(), PEER_LOG_BURST);
    end();
}

static void each_user_has_lines_of_its_own(void) {
    PeerLog ann = {.user = "ann"}, bob = {.user = "bob"};

    begin();
    log_many(2 * PEER_LOG_BURST);
    for (unsigned i = 0; i < 3 * PEER_LOG_BURST; i++)
        user_log(&broker, &ann, LOG_LEVEL_WARNING, "permission denied: user='ann'");
    CU_ASSERT_EQUAL(n_lines(), 2 * PEER_LOG_BURST);
    user_log(&broker, &bob, LOG_LEVEL_WARNING, "permission denied: user='bob'");
    CU_ASSERT_EQUAL(n_lines(), 1);
    CU_ASSERT_EQUAL(broker.peer_log.n_left_out, PEER_LOG_BURST);
    CU_ASSERT_EQUAL(ann.n_left_out, 2 * PEER_LOG_BURST);
    pass(PEER_LOG_TELL_MS);
    CU_ASSERT_EQUAL(n_lines(), 2); /* one line about peers, one about Ann */
    CU_ASSERT_EQUAL(ann.n_left_out, 0);
    end();
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(a_few_lines_are_all_written),
        TEST(lines_beyond_the_burst_are_counted_and_reported),
        TEST(after_a_burst_lines_are_written_at_the_rate),
        TEST(lines_below_the_log_level_are_not_counted),
        TEST(each_user_has_lines_of_its_own),
        TESTS_END,
    };

    return run_suite("broker peer log", tests);
}
