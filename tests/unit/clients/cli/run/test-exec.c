/* SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "clients/cli/run/exec.h"
#include "support/suite.h"

static Loop loop;
static Cli cli;

typedef struct Got {
    int n, status;
    char *output, *reason;
    size_t len;
} Got;

static Got got;
static int wanted;

static void on_end(Exec *exec, const ExecResult *result, void *ctx) {
    (void)exec;
    (void)ctx;
    free(got.output);
    free(got.reason);
    got.status = result->status;
    got.len = result->output->len;
    got.output = strndup(got.len ? (const char *)result->output->data : "", got.len);
    got.reason = strdup(result->reason);
    if (++got.n == wanted)
        loop_end(&loop, 0);
}

static void begin(int n) {
    loop.ended = false;
    got.n = 0;
    wanted = n;
}

static void run_with(ExecOptions options) {
    Exec *exec = NULL;

    options.fn = on_end;
    begin(1);
    CU_ASSERT_EQUAL_FATAL(exec_start(&loop, &options, &exec), 0);
    loop_run(&loop);
}

static void run(const char *command) {
    run_with((ExecOptions){.command = command});
}

static void output_and_status_come_back(void) {
    run("echo hello");
    CU_ASSERT_EQUAL(got.status, 0);
    CU_ASSERT_STRING_EQUAL(got.output, "hello\n");
    CU_ASSERT_STRING_EQUAL(got.reason, "");
}

static void a_body_larger_than_a_pipe_goes_through(void) {
    size_t len = 3000000;
    char *body = malloc(len);

    memset(body, 'x', len);
    run_with((ExecOptions){.command = "cat", .input = ferry_bytes_of(body, len)});
    CU_ASSERT_EQUAL(got.status, 0);
    CU_ASSERT_EQUAL(got.len, len);
    free(body);
}

static void a_command_need_not_read_its_input(void) {
    size_t len = 3000000;
    char *body = calloc(1, len);

    run_with((ExecOptions){.command = "exit 0", .input = ferry_bytes_of(body, len)});
    CU_ASSERT_EQUAL(got.status, 0);
    free(body);
}

static void standard_error_is_the_reason(void) {
    run("echo no disk left >&2; echo >&2; exit 3");
    CU_ASSERT_EQUAL(got.status, 3);
    CU_ASSERT_STRING_EQUAL(got.reason, "no disk left");
}

static void the_end_of_a_long_complaint_is_kept(void) {
    run("seq 10000 >&2; echo the end >&2; exit 1");
    CU_ASSERT_TRUE(strlen(got.reason) <= EXEC_REASON_MAX);
    CU_ASSERT_STRING_EQUAL(got.reason + strlen(got.reason) - 7, "the end");
}

static void silence_is_explained(void) {
    run("exit 4");
    CU_ASSERT_STRING_EQUAL(got.reason, "exit status 4");
    run("kill -9 $$");
    CU_ASSERT_EQUAL(got.status, -1);
    CU_ASSERT_PTR_NOT_NULL(strstr(got.reason, "signal 9"));
    run("/no/such/program 2>/dev/null");
    CU_ASSERT_EQUAL(got.status, 127);
}

static void output_has_a_limit(void) {
    run_with((ExecOptions){.command = "yes", .max_output = 100000});
    CU_ASSERT_EQUAL(got.status, -1);
    CU_ASSERT_STRING_EQUAL(got.reason, "the command printed more than 100000 bytes");
}

static void variables_are_set_and_old_ones_are_not_passed_on(void) {
    const ExecVariable variables[] = {{"FERRY_QUEUE", "mail"}, {"FERRY_HEADER_A", "1"}};

    setenv("FERRY_HEADER_OLD", "old", 1);
    setenv("FERRY_QUEUE", "outer", 1);
    run_with((ExecOptions){.command = "echo \"$FERRY_QUEUE $FERRY_HEADER_A $FERRY_HEADER_OLD\"",
                           .variables = variables,
                           .n_variables = 2});
    CU_ASSERT_STRING_EQUAL(got.output, "mail 1 \n");
}

static void a_child_that_lives_on_is_not_waited_for(void) {
    run("sleep 600 & echo $!");
    CU_ASSERT_EQUAL(got.status, 0);
    CU_ASSERT_EQUAL(kill(atoi(got.output), 0), 0);
    kill(atoi(got.output), SIGKILL);
}

static void a_cancelled_group_ends(void) {
    ExecOptions options = {.command = "sleep 600 | sleep 600", .fn = on_end};
    uint64_t start_ms = clock_ms();
    Exec *exec = NULL;

    begin(1);
    CU_ASSERT_EQUAL_FATAL(exec_start(&loop, &options, &exec), 0);
    exec_cancel(exec);
    exec_cancel(exec);
    loop_run(&loop);
    CU_ASSERT_NOT_EQUAL(got.status, 0);
    CU_ASSERT_TRUE(clock_ms() - start_ms < 300000);
}

static void a_group_that_will_not_end_is_killed(void) {
    ExecOptions options = {.command = "trap '' TERM; echo on; sleep 600", .fn = on_end};
    uint64_t start_ms = clock_ms();
    Exec *exec = NULL;

    begin(1);
    CU_ASSERT_EQUAL_FATAL(exec_start(&loop, &options, &exec), 0);
    usleep(300000);
    exec_cancel(exec);
    loop_run(&loop);
    CU_ASSERT_EQUAL(got.status, -1);
    CU_ASSERT_TRUE(clock_ms() - start_ms >= EXEC_KILL_MS);
    CU_ASSERT_TRUE(clock_ms() - start_ms < 300000);
}

static void a_freed_command_is_never_called_back(void) {
    ExecOptions options = {.command = "sleep 600", .fn = on_end};
    Exec *exec = NULL;

    begin(1);
    CU_ASSERT_EQUAL_FATAL(exec_start(&loop, &options, &exec), 0);
    CU_ASSERT_PTR_NULL(exec_free(exec));
    CU_ASSERT_PTR_NULL(exec_free(NULL));
    run("echo other");
    CU_ASSERT_STRING_EQUAL(got.output, "other\n");
}

/* Each command waits for the lines of all others. */
static void many_run_at_once(void) {
    char path[] = "/tmp/ferry-test-exec-XXXXXX", command[160];
    ExecOptions options = {.command = command, .fn = on_end};
    int fd = mkstemp(path);
    Exec *exec = NULL;

    CU_ASSERT_FATAL(fd >= 0);
    snprintf(command, sizeof(command),
             "echo >>%s; while [ $(wc -l <%s) -lt 20 ]; do sleep 0.05; done; echo x", path, path);
    begin(20);
    for (int i = 0; i < 20; i++)
        CU_ASSERT_EQUAL(exec_start(&loop, &options, &exec), 0);
    loop_run(&loop);
    CU_ASSERT_EQUAL(got.n, 20);
    close(fd);
    unlink(path);
}

static void header_names_become_variables(void) {
    char name[32];

    CU_ASSERT_STRING_EQUAL(exec_header_name("trace-id", name, sizeof(name)),
                           "FERRY_HEADER_TRACE_ID");
    CU_ASSERT_STRING_EQUAL(exec_header_name("a=b\nc", name, sizeof(name)), "FERRY_HEADER_A_B_C");
    CU_ASSERT_EQUAL(strlen(exec_header_name("a-very-long-name-of-a-header", name, sizeof(name))),
                    31);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(output_and_status_come_back),
        TEST(a_body_larger_than_a_pipe_goes_through),
        TEST(a_command_need_not_read_its_input),
        TEST(standard_error_is_the_reason),
        TEST(the_end_of_a_long_complaint_is_kept),
        TEST(silence_is_explained),
        TEST(output_has_a_limit),
        TEST(variables_are_set_and_old_ones_are_not_passed_on),
        TEST(a_child_that_lives_on_is_not_waited_for),
        TEST(a_cancelled_group_ends),
        TEST(a_group_that_will_not_end_is_killed),
        TEST(a_freed_command_is_never_called_back),
        TEST(many_run_at_once),
        TEST(header_names_become_variables),
        TESTS_END,
    };
    int status;

    signal(SIGPIPE, SIG_IGN);
    if (cli_loop_init(&loop, &cli) != 0)
        return 1;
    status = run_suite("cli exec", tests);
    cli_loop_deinit(&loop);
    free(got.output);
    free(got.reason);
    return status;
}
