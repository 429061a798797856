/* SPDX-License-Identifier: Apache-2.0 */
/* The example filestream: streams as files, to their end and without. */

#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "examples/stage.h"
#include "filestream.h"

static Stage stage;

/* ---- the hazard ---- */

static void a_lost_peer_looks_like_the_end_of_a_file(void) {
    char line[64];
    int fds[2];
    FILE *file;

    tcp_pair(fds);
    CU_ASSERT_EQUAL(send(fds[1], "half a li", 9, 0), 9); /* of "half a line\n" */
    close(fds[1]);                                       /* as when its program is killed */
    file = fdopen(fds[0], "r");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    CU_ASSERT_PTR_NOT_NULL(fgets(line, sizeof(line), file));
    CU_ASSERT_TRUE(feof(file));
    CU_ASSERT_FALSE(ferror(file));
    fclose(file);
}

/* ---- reading and writing ---- */

static void lines_are_read_by_getline(void) {
    ferry_stream *stream = NULL;
    char *line = NULL;
    size_t size = 0, n = 0;
    FILE *file;

    CU_ASSERT_EQUAL(filestream_text(stage.client, 100 * 64 + 10, &stream, &stage.error), 0);
    file = ferry_stream_fopen(stream, "r");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    while (getline(&line, &size, file) == 64) {
        n++;
        CU_ASSERT_EQUAL(strtoul(line + 5, NULL, 10), n);
    }
    CU_ASSERT_EQUAL(n, 100);
    CU_ASSERT_STRING_EQUAL(line, "line 00000");
    CU_ASSERT(feof(file) && !ferror(file));
    fclose(file);
    free(line);
}

static void printed_lines_are_counted(void) {
    filestream_counts *counts = NULL;
    ferry_stream *stream = NULL;
    FILE *file;

    CU_ASSERT_EQUAL(filestream_count(stage.client, &stream, &stage.error), 0);
    file = ferry_stream_fopen(stream, "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    for (int i = 0; i < 10000; i++)
        fprintf(file, "%d and %d\n", i % 10, i % 10);
    CU_ASSERT_EQUAL(fflush(file), 0);
    CU_ASSERT_EQUAL(filestream_count_end(stream, &counts, &stage.error), 0);
    CU_ASSERT(counts && counts->lines == 10000 && counts->words == 30000 && counts->bytes == 80000);
    ferry_free(counts);
    CU_ASSERT_EQUAL(fclose(file), 0);
}

static void binary_bytes_go_through_as_they_are(void) {
    filestream_counts *counts = NULL;
    ferry_stream *stream = NULL;
    char bytes[256];
    FILE *file;

    for (int i = 0; i < 256; i++)
        bytes[i] = (char)i;
    CU_ASSERT_EQUAL(filestream_count(stage.client, &stream, &stage.error), 0);
    file = ferry_stream_fopen(stream, "wb");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    CU_ASSERT_EQUAL(fwrite(bytes, 1, 256, file), 256);
    fflush(file);
    CU_ASSERT_EQUAL(filestream_count_end(stream, &counts, &stage.error), 0);
    CU_ASSERT(counts && counts->bytes == 256 && counts->lines == 1);
    ferry_free(counts);
    fclose(file);
}

static void one_file_writes_and_reads_by_turns(void) {
    ferry_stream *stream = NULL;
    char line[64], expected[64];
    FILE *file;

    CU_ASSERT_EQUAL(filestream_number(stage.client, &stream, &stage.error), 0);
    file = ferry_stream_fopen(stream, "r+");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    for (int i = 1; i <= 50; i++) {
        fprintf(file, "hello %d\n", i);
        fflush(file);
        CU_ASSERT_PTR_NOT_NULL(fgets(line, sizeof(line), file));
        snprintf(expected, sizeof(expected), "%6d  hello %d\n", i, i);
        CU_ASSERT_STRING_EQUAL(line, expected);
    }
    CU_ASSERT_EQUAL(fclose(file), 0);
}

static void a_long_line_is_typed(void) {
    FERRY_AUTO(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    static char line[100 * 1024];
    const filestream_long_line *e;
    ferry_stream *stream = NULL;
    FILE *to, *from;

    memset(line, 'x', sizeof(line));
    CU_ASSERT_EQUAL(filestream_number(stage.client, &stream, &stage.error), 0);
    to = ferry_stream_fopen(stream, "w");
    from = ferry_stream_fopen(stream, "r");
    CU_ASSERT_FATAL(to && from);
    fputs("short\n", to);
    fwrite(line, 1, sizeof(line), to);
    fflush(to);
    CU_ASSERT_PTR_NOT_NULL(fgets(line, sizeof(line), from));
    CU_ASSERT_PTR_NULL(fgets(line, sizeof(line), from));
    CU_ASSERT_TRUE(ferror(from));
    ferry_stream_result(stream, NULL, &error);
    e = filestream_long_line_in(&error);
    CU_ASSERT(e && e->line == 2 && e->limit == 65536);
    fclose(to);
    fclose(from);
}

/* ---- much ---- */

static long peak_kib(void) {
    FILE *status = fopen("/proc/self/status", "r");
    char line[256];
    long kib = -1;

    while (status && fgets(line, sizeof(line), status))
        if (sscanf(line, "VmHWM: %ld", &kib) == 1)
            break;
    if (status)
        fclose(status);
    return kib;
}

/* Reads FILESTREAM_MIB MiB: 1024 by default. */
static void a_gigabyte_is_read_in_constant_memory(void) {
    const char *said = getenv("FILESTREAM_MIB");
    int64_t total = 0, bytes = (said ? atoll(said) : 1024) << 20;
    ferry_stream *stream = NULL;
    static char piece[65536];
    FILE *file;

    CU_ASSERT_EQUAL(filestream_text(stage.client, bytes, &stream, &stage.error), 0);
    file = ferry_stream_fopen(stream, "r");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    for (size_t n; (n = fread(piece, 1, sizeof(piece), file)) > 0;)
        total += (int64_t)n;
    CU_ASSERT_FALSE(ferror(file));
    fclose(file);
    CU_ASSERT_EQUAL(total, bytes);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    printf("(%lld MiB, client and server together at most %ld KiB) ", (long long)bytes >> 20,
           peak_kib());
    CU_ASSERT(peak_kib() < 16 * 1024);
#else
    (void)peak_kib;
#endif
}

/* ---- a lost server ---- */

static void a_killed_server_is_an_error_not_an_end(void) {
    ferry_stream *stream = NULL;
    char line[128];
    FILE *file;
    pid_t pid;

    /* The server of the stage would take the call. */
    runner_stop(&stage.runner);
    pid = fork();
    if (pid == 0) {
        execl(getenv("FILESTREAM_SERVER"), "filestream-server", NULL);
        _exit(127);
    }
    for (int i = 0, r = -1; r != 0 && i < 1000; i++) {
        filestream_counts *counts = NULL;
        ferry_stream *probe = NULL;

        r = filestream_count(stage.client, &probe, &stage.error);
        if (r == 0)
            r = filestream_count_end(probe, &counts, &stage.error);
        ferry_free(counts);
        ferry_stream_close(probe);
        usleep(r == 0 ? 0 : 10000);
    }
    CU_ASSERT_EQUAL(filestream_text(stage.client, INT64_C(1) << 40, &stream, &stage.error), 0);
    file = ferry_stream_fopen(stream, "r");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    CU_ASSERT_PTR_NOT_NULL(fgets(line, sizeof(line), file));
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    errno = 0;
    while (fgets(line, sizeof(line), file))
        ;
    CU_ASSERT_EQUAL(errno, ECONNRESET);
    CU_ASSERT_TRUE(ferror(file));
    CU_ASSERT_FALSE(feof(file));
    CU_ASSERT_EQUAL(ferry_stream_result(stream, NULL, &stage.error), -ECONNRESET);
    CU_ASSERT_STRING_EQUAL(stage.error.type, "ferry.ServerLost");
    fclose(file);
    runner_start(&stage.runner, &stage.broker, stage_start_server, &stage);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(a_lost_peer_looks_like_the_end_of_a_file),
        TEST(lines_are_read_by_getline),
        TEST(printed_lines_are_counted),
        TEST(binary_bytes_go_through_as_they_are),
        TEST(one_file_writes_and_reads_by_turns),
        TEST(a_long_line_is_typed),
        TEST(a_gigabyte_is_read_in_constant_memory),
        TEST(a_killed_server_is_an_error_not_an_end),
        TESTS_END,
    };
    int status;

    stage_open(&stage, filestream_start);
    setenv("FERRY_URL", stage.broker.url, 1); /* for the server that is killed */
    status = run_suite("example filestream", tests);
    stage_close(&stage);
    return status;
}
