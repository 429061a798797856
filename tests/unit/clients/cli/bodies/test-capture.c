/* SPDX-License-Identifier: Apache-2.0 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "clients/cli/bodies/capture.h"
#include "support/suite.h"

/* A file with two records, in memory: free() it. */
static char *make_file(size_t *ret_len) {
    char *data = NULL;
    FILE *to = open_memstream(&data, ret_len);

    capture_begin(to);
    capture_write(to, ferry_bytes_of("first", 5), 1700000000000001, false, "PUBLISH a");
    capture_write(to, ferry_bytes_of("second!", 7), 1700000000000002, true, "MESSAGE a");
    fclose(to);
    return data;
}

/* Reads a file to its end. Returns the result of the last call; *ret_n records were read. */
static int read_all(const char *data, size_t len, int *ret_n) {
    FILE *from = len ? fmemopen((void *)data, len, "rb") : fopen("/dev/null", "rb");
    CaptureReader reader;
    ferry_bytes record;
    int r = capture_open(&reader, from);

    *ret_n = 0;
    while (r >= 0 && (r = capture_next(&reader, &record)) == 1)
        ++*ret_n;
    CU_ASSERT_TRUE(r == 0 || r == -EPROTO);
    CU_ASSERT_EQUAL(reader.problem != NULL, r == -EPROTO);
    capture_close(&reader);
    fclose(from);
    return r;
}

static void records_are_read_back_byte_for_byte(void) {
    CaptureReader reader;
    ferry_bytes record;
    size_t len;
    char *data = make_file(&len);
    FILE *from = fmemopen(data, len, "rb");

    CU_ASSERT_EQUAL(capture_open(&reader, from), 0);
    CU_ASSERT_EQUAL(capture_next(&reader, &record), 1);
    CU_ASSERT_TRUE(record.len == 5 && memcmp(record.data, "first", 5) == 0);
    CU_ASSERT_EQUAL(capture_next(&reader, &record), 1);
    CU_ASSERT_TRUE(record.len == 7 && memcmp(record.data, "second!", 7) == 0);
    CU_ASSERT_EQUAL(capture_next(&reader, &record), 0);
    capture_close(&reader);
    fclose(from);
    free(data);
}

static void a_file_that_ends_early_is_an_error_unless_a_block_has_just_ended(void) {
    size_t len, n_whole = 0;
    char *data = make_file(&len);

    for (size_t cut = 0; cut <= len; cut++) {
        int n, r = read_all(data, cut, &n);

        if (r == 0)
            n_whole++;
        else
            CU_ASSERT_EQUAL(r, -EPROTO);
    }
    CU_ASSERT_EQUAL(n_whole, 3); /* after the head, after each record */
    free(data);
}

static void no_changed_byte_reads_beyond_its_block(void) {
    size_t len;
    char *data = make_file(&len);

    for (size_t at = 0; at < len; at++)
        for (int bit = 0; bit < 8; bit++) {
            int n;

            data[at] = (char)(data[at] ^ 1 << bit);
            read_all(data, len, &n);
            CU_ASSERT_TRUE(n <= 2);
            data[at] = (char)(data[at] ^ 1 << bit);
        }
    free(data);
}

static void other_files_are_refused(void) {
    static const char text[] = "this is a text of some length, and not a capture at all";
    int n;

    CU_ASSERT_EQUAL(read_all("", 0, &n), -EPROTO);
    CU_ASSERT_EQUAL(read_all(text, sizeof(text), &n), -EPROTO);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(records_are_read_back_byte_for_byte),
        TEST(a_file_that_ends_early_is_an_error_unless_a_block_has_just_ended),
        TEST(no_changed_byte_reads_beyond_its_block),
        TEST(other_files_are_refused),
        TESTS_END,
    };

    return run_suite("cli capture files", tests);
}
