/* SPDX-License-Identifier: Apache-2.0 */
/* Streams as stdio files: ferry_stream_fopen(). */

#include "support/broker.h"
#include "support/suite.h"

static TestBroker broker;
static Runner server;
static ferry_client *client;

static const ferry_bytes none = {"\x90", 1, NULL}; /* no arguments */

/* ---- the server ---- */

/* Sends lines in pieces that do not end at line ends. */
static int lines(ferry_request *request, void *ctx) {
    static const char *const items[] = {"fir", "st\nsecond li", "", "ne\n", "third\n", "no end"};
    int r = 0;

    (void)ctx;
    for (size_t i = 0; r == 0 && i < sizeof(items) / sizeof(items[0]); i++)
        r = ferry_request_yield(request, ferry_str(items[i]));
    return r < 0 ? r : ferry_request_return(request, none);
}

static int echo(ferry_request *request, void *ctx) {
    ferry_bytes item;
    int r;

    (void)ctx;
    while ((r = ferry_request_receive(request, &item)) > 0) {
        r = ferry_request_yield(request, item);
        if (r < 0)
            return r;
    }
    return r < 0 ? r : ferry_request_return(request, none);
}

static char got[65536]; /* written by `take`; the test's thread reads it after the answer has
                         * come */
static size_t n_got, n_items;

static int take(ferry_request *request, void *ctx) {
    ferry_bytes item;
    int r;

    (void)ctx;
    n_got = n_items = 0;
    while ((r = ferry_request_receive(request, &item)) > 0) {
        memcpy(got + n_got, item.data, n_got + item.len < sizeof(got) ? item.len : 0);
        n_got += item.len;
        n_items++;
    }
    return r < 0 ? r : ferry_request_return(request, none);
}

static int refuse(ferry_request *request, void *ctx) {
    ferry_bytes item;

    (void)ctx;
    ferry_request_receive(request, &item);
    return ferry_request_throw(request, "test.Full", NULL, "the disk is full");
}

static int begin_and_fail(ferry_request *request, void *ctx) {
    (void)ctx;
    ferry_request_yield(request, ferry_str("a line\n"));
    return ferry_request_throw(request, "test.Broken", NULL, "in mid-stream");
}

static int begin_and_keep(ferry_request *request, void *ctx) {
    (void)ctx;
    ferry_request_yield(request, ferry_str("a line\n"));
    *(ferry_request **)ctx = ferry_request_defer(request);
    return 0;
}

static int set_up(ferry_client *worker, void *ctx) {
    static const struct {
        const char *name;
        int (*fn)(ferry_request *request, void *ctx);
    } methods[] = {{"test.F.lines", lines},
                   {"test.F.echo", echo},
                   {"test.F.take", take},
                   {"test.F.refuse", refuse},
                   {"test.F.fail", begin_and_fail}};
    int r = 0;

    (void)ctx;
    for (size_t i = 0; r == 0 && i < sizeof(methods) / sizeof(methods[0]); i++)
        r = ferry_serve_method(worker, methods[i].name, NULL, methods[i].fn, NULL, NULL, NULL);
    return r;
}

/* ---- helpers ---- */

static ferry_stream *open_stream(const char *method, unsigned directions) {
    ferry_stream *stream = NULL;

    CU_ASSERT_EQUAL(ferry_stream_open(client, method, none, directions, &stream, NULL), 0);
    return stream;
}

static FILE *open_file(const char *method, unsigned directions, const char *mode) {
    FILE *file = ferry_stream_fopen(open_stream(method, directions), mode);

    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    return file;
}

/* ---- reading ---- */

static void lines_are_read_whatever_the_items(void) {
    static const char *const wanted[] = {"first\n", "second line\n", "third\n", "no end"};
    FILE *file = open_file("test.F.lines", FERRY_RECEIVE, "r");
    char *line = NULL;
    size_t size = 0;

    for (size_t i = 0; i < 4; i++) {
        CU_ASSERT_EQUAL(getline(&line, &size, file), (ssize_t)strlen(wanted[i]));
        CU_ASSERT_STRING_EQUAL(line, wanted[i]);
    }
    CU_ASSERT_EQUAL(getline(&line, &size, file), -1);
    CU_ASSERT_TRUE(feof(file));
    CU_ASSERT_FALSE(ferror(file));
    CU_ASSERT_EQUAL(fclose(file), 0);
    free(line);
}

static void an_exception_is_an_error_of_the_file(void) {
    FERRY_AUTO(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    ferry_stream *stream = open_stream("test.F.fail", FERRY_RECEIVE);
    FILE *file = ferry_stream_fopen(stream, "rb");
    char line[64];

    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    CU_ASSERT_PTR_NOT_NULL(fgets(line, sizeof(line), file));
    errno = 0;
    CU_ASSERT_PTR_NULL(fgets(line, sizeof(line), file));
    CU_ASSERT_TRUE(ferror(file));
    CU_ASSERT_FALSE(feof(file));
    CU_ASSERT_EQUAL(errno, EREMOTEIO);
    CU_ASSERT_EQUAL(ferry_stream_result(stream, NULL, &error), -EREMOTEIO);
    CU_ASSERT_STRING_EQUAL(error.type, "test.Broken");
    fclose(file);
}

static void a_lost_server_is_an_error_of_the_file(void) {
    ferry_client *worker = connect_client(&broker);
    ferry_request *kept = NULL;
    ferry_stream *stream;
    char line[64];
    FILE *file;

    CU_ASSERT_EQUAL(
        ferry_serve_method(worker, "test.Lost.keep", NULL, begin_and_keep, &kept, NULL, NULL), 0);
    stream = open_stream("test.Lost.keep", FERRY_RECEIVE);
    ferry_ping(client, NULL, NULL); /* after this the broker has the call */
    while (!kept && ferry_process(worker, NULL) == 0)
        usleep(1000);
    ferry_ping(worker, NULL, NULL); /* after this the worker has the line, too */
    file = ferry_stream_fopen(stream, "r");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    CU_ASSERT_PTR_NOT_NULL(fgets(line, sizeof(line), file));
    ferry_close(worker);
    ferry_request_fail(kept, -ECANCELED,
                       NULL); /* the answer is dropped, because the client is closed */
    errno = 0;
    CU_ASSERT_PTR_NULL(fgets(line, sizeof(line), file));
    CU_ASSERT_TRUE(ferror(file));
    CU_ASSERT_EQUAL(errno, ECONNRESET);
    fclose(file);
}

/* ---- writing ---- */

static void printed_text_arrives_and_fclose_waits_for_it(void) {
    FILE *file = open_file("test.F.take", FERRY_SEND, "w");

    for (int i = 0; i < 1000; i++)
        CU_ASSERT(fprintf(file, "line %d\n", i) > 0);
    CU_ASSERT_EQUAL(fclose(file), 0);
    CU_ASSERT_EQUAL(n_got, 8890);
    CU_ASSERT_EQUAL(memcmp(got, "line 0\nline 1\n", 14), 0);
    CU_ASSERT(n_items > 1 && n_items < 20); /* stdio's buffer makes the items; fprintf() does not */
}

static void large_writes_become_items_of_64_kib(void) {
    static char large[1000 * 1000];
    FILE *file = open_file("test.F.take", FERRY_SEND, "w");

    CU_ASSERT_EQUAL(fwrite(large, 1, sizeof(large), file), sizeof(large));
    CU_ASSERT_EQUAL(fclose(file), 0);
    CU_ASSERT_EQUAL(n_got, sizeof(large));
    CU_ASSERT(n_items >= 16);
}

static void fclose_fails_with_the_servers_exception(void) {
    FILE *file = open_file("test.F.refuse", FERRY_SEND, "w");

    CU_ASSERT(fprintf(file, "much\n") > 0);
    errno = 0;
    CU_ASSERT_EQUAL(fclose(file), EOF);
    CU_ASSERT_EQUAL(errno, EREMOTEIO);
}

/* ---- both ---- */

static void one_file_reads_and_writes_by_turns(void) {
    FILE *file = open_file("test.F.echo", FERRY_SEND | FERRY_RECEIVE, "r+");
    char line[64], expected[64];

    for (int i = 0; i < 100; i++) {
        /* Two lines come back at once: the second one is read ahead while the next line is
         * written. */
        CU_ASSERT(fprintf(file, "a%d\nb%d\n", i, i) > 0);
        CU_ASSERT_EQUAL(fflush(file), 0);
        CU_ASSERT_PTR_NOT_NULL(fgets(line, sizeof(line), file));
        snprintf(expected, sizeof(expected), i % 2 ? "b%d\n" : "a%d\n", i / 2);
        CU_ASSERT_STRING_EQUAL(line, expected);
    }
    CU_ASSERT_FALSE(ferror(file));
    CU_ASSERT_EQUAL(fclose(file), 0);
}

static void two_files_share_a_stream(void) {
    ferry_stream *stream = open_stream("test.F.echo", FERRY_SEND | FERRY_RECEIVE);
    FILE *to = ferry_stream_fopen(stream, "w"), *from = ferry_stream_fopen(stream, "r");
    char line[64];

    CU_ASSERT_FATAL(to && from);
    CU_ASSERT(fputs("hello\nworld\n", to) >= 0);
    CU_ASSERT_EQUAL(fclose(to), 0); /* this ends one side; the other side continues */
    CU_ASSERT_PTR_NOT_NULL(fgets(line, sizeof(line), from));
    CU_ASSERT_STRING_EQUAL(line, "hello\n");
    CU_ASSERT_PTR_NOT_NULL(fgets(line, sizeof(line), from));
    CU_ASSERT_PTR_NULL(fgets(line, sizeof(line), from));
    CU_ASSERT_TRUE(feof(from));
    CU_ASSERT_EQUAL(fclose(from), 0);
}

static void wrong_modes_are_refused(void) {
    static const char *const modes[] = {"", "a", "x", "rw", "r+", "w", "r,ccs=UTF-8"};
    ferry_stream *stream = open_stream("test.F.lines", FERRY_RECEIVE);
    FILE *file;

    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        errno = 0;
        CU_ASSERT_PTR_NULL(ferry_stream_fopen(stream, modes[i]));
        CU_ASSERT_EQUAL(errno, EINVAL);
    }
    CU_ASSERT_PTR_NULL(ferry_stream_fopen(NULL, "r"));
    file = ferry_stream_fopen(stream, "r");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    CU_ASSERT_PTR_NULL(ferry_stream_fopen(stream, "r"));
    CU_ASSERT_EQUAL(errno, EBUSY);
    CU_ASSERT_EQUAL(fseek(file, 0, SEEK_SET), -1);
    fclose(file);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(lines_are_read_whatever_the_items),
        TEST(an_exception_is_an_error_of_the_file),
        TEST(a_lost_server_is_an_error_of_the_file),
        TEST(printed_text_arrives_and_fclose_waits_for_it),
        TEST(large_writes_become_items_of_64_kib),
        TEST(fclose_fails_with_the_servers_exception),
        TEST(one_file_reads_and_writes_by_turns),
        TEST(two_files_share_a_stream),
        TEST(wrong_modes_are_refused),
        TESTS_END,
    };
    int status;

    broker_spawn(&broker);
    runner_start(&server, &broker, set_up, NULL);
    client = connect_client(&broker);
    status = run_suite("client: streams as files", tests);
    ferry_close(client);
    runner_stop(&server);
    broker_terminate(&broker);
    return status;
}
