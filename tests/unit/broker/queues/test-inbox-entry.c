/* SPDX-License-Identifier: Apache-2.0 */
/* Entries of inboxes, as bytes and back. */

#include "broker/queues/inbox-entry.h"

#include <errno.h>
#include <string.h>

#include "rpc/wire/name.h"
#include "rpc/wire/writer.h"
#include "support/suite.h"

static Message message_with(const char *topic, Span headers, const char *body) {
    return (Message){
        .op = OP_PUBLISH, .name = span_text(topic), .headers = headers, .body = span_text(body)};
}

static void an_entry_is_read_as_it_was_written(void) {
    static const uint8_t headers[] = {0x81, 0xA1, 'h', 0xA1, 'v'};
    CLEANUP(buffer_deinit) Buffer bytes = {0};
    Span queues[] = {span_text("a"), span_text("b.c")};
    Message message = message_with("news.today", span_of(headers, sizeof(headers)), "hello");
    InboxEntry entry;

    inbox_entry_write(&bytes, queues, 2, &message);
    CU_ASSERT_EQUAL_FATAL(inbox_entry_read(span_of(bytes.data, bytes.len), &entry), 0);
    CU_ASSERT_EQUAL(entry.n, 2);
    CU_ASSERT_TRUE(span_is(entry.queues[0], "a"));
    CU_ASSERT_TRUE(span_is(entry.queues[1], "b.c"));
    CU_ASSERT_TRUE(span_is(entry.message.name, "news.today"));
    CU_ASSERT_TRUE(span_is(entry.message.body, "hello"));
    CU_ASSERT_TRUE(span_is(header_find(entry.message.headers, "h"), "v"));
}

static void a_message_needs_no_headers_and_no_body(void) {
    CLEANUP(buffer_deinit) Buffer bytes = {0};
    Span queue = span_text("q");
    Message message = {.op = OP_PUBLISH, .name = span_text("t")};
    InboxEntry entry;

    inbox_entry_write(&bytes, &queue, 1, &message);
    CU_ASSERT_EQUAL_FATAL(inbox_entry_read(span_of(bytes.data, bytes.len), &entry), 0);
    CU_ASSERT_EQUAL(entry.message.body.len, 0);
    CU_ASSERT_NOT_EQUAL(entry.message.body.data, NULL);
}

static const uint8_t some_headers[] = {0x81, 0xA1, 'h', 0xA1, 'v'};

static InboxJob some_job(void) {
    return (InboxJob){.origin = span_text("0123456789abcdef"),
                      .id = 77,
                      .delay_ms = 5000,
                      .priority = 9,
                      .order = span_text("k"),
                      .reason = span_text("failed 3 times")};
}

static void check_job(Span bytes) {
    InboxEntry entry;

    CU_ASSERT_EQUAL_FATAL(inbox_entry_read(bytes, &entry), 0);
    CU_ASSERT_TRUE(entry.is_job);
    CU_ASSERT_EQUAL(entry.n, 1);
    CU_ASSERT_TRUE(span_is(entry.queues[0], "to"));
    CU_ASSERT_TRUE(span_is(entry.job.origin, "0123456789abcdef"));
    CU_ASSERT_EQUAL(entry.job.id, 77);
    CU_ASSERT_EQUAL(entry.job.delay_ms, 5000);
    CU_ASSERT_EQUAL(entry.job.priority, 9);
    CU_ASSERT_TRUE(span_is(entry.job.order, "k"));
    CU_ASSERT_TRUE(span_is(entry.job.reason, "failed 3 times"));
    CU_ASSERT_TRUE(span_is(entry.message.body, "hello"));
    CU_ASSERT_TRUE(span_is(header_find(entry.message.headers, "h"), "v"));
}

/* The content of a job is in fields, or in encoded form. */
static void a_job_is_read_as_it_was_written(void) {
    CLEANUP(buffer_deinit) Buffer plain = {0}, encoded = {0}, fields = {0};
    InboxJob job = some_job();
    Message content = message_with("", span_of(some_headers, sizeof(some_headers)), "hello");

    inbox_entry_write_job(&plain, span_text("to"), &job, &content);
    check_job(span_of(plain.data, plain.len));
    write_raw(&fields, span_of(some_headers, sizeof(some_headers)));
    write_bin(&fields, "hello", 5);
    content = (Message){.op = OP_JOB, .passed = span_of(fields.data, fields.len)};
    inbox_entry_write_job(&encoded, span_text("to"), &job, &content);
    check_job(span_of(encoded.data, encoded.len));
}

static int read_job_with(const InboxJob *job) {
    CLEANUP(buffer_deinit) Buffer bytes = {0};
    Message content = message_with("", (Span){NULL, 0}, "hello");
    static InboxEntry entry;

    inbox_entry_write_job(&bytes, span_text("to"), job, &content);
    return inbox_entry_read(span_of(bytes.data, bytes.len), &entry);
}

static void wrong_values_of_a_job_are_refused(void) {
    static const char long_text[256];
    InboxJob job = some_job();

    CU_ASSERT_EQUAL(read_job_with(&job), 0);
    job.origin.len--;
    CU_ASSERT_EQUAL(read_job_with(&job), -EBADMSG);
    job = some_job();
    job.id = 0;
    CU_ASSERT_EQUAL(read_job_with(&job), -EBADMSG);
    job = some_job();
    job.priority = 10;
    CU_ASSERT_EQUAL(read_job_with(&job), -EBADMSG);
    job = some_job();
    job.delay_ms = UINT64_MAX;
    CU_ASSERT_EQUAL(read_job_with(&job), -EBADMSG);
    job = some_job();
    job.order = span_of(long_text, sizeof(long_text));
    CU_ASSERT_EQUAL(read_job_with(&job), -EBADMSG);
    job = some_job();
    job.reason = span_of(long_text, sizeof(long_text));
    CU_ASSERT_EQUAL(read_job_with(&job), -EBADMSG);
}

static void a_part_of_an_entry_is_refused(void) {
    CLEANUP(buffer_deinit) Buffer bytes = {0};
    Span queues[] = {span_text("a"), span_text("b")};
    Message message = message_with("t", (Span){NULL, 0}, "hello");
    InboxEntry entry;

    inbox_entry_write(&bytes, queues, 2, &message);
    for (size_t len = 0; len < bytes.len; len++)
        CU_ASSERT_EQUAL(inbox_entry_read(span_of(bytes.data, len), &entry), -EBADMSG);
    write_nil(&bytes);
    CU_ASSERT_EQUAL(inbox_entry_read(span_of(bytes.data, bytes.len), &entry), -EBADMSG);
}

/* An entry with this format and queues, and this topic. */
static int read_made(uint64_t format, size_t n, const char *queue, const char *topic,
                     size_t n_headers) {
    CLEANUP(buffer_deinit) Buffer bytes = {0};
    static InboxEntry entry;

    write_array(&bytes, 5);
    write_uint(&bytes, format);
    write_array(&bytes, (uint32_t)n);
    for (size_t i = 0; i < n; i++)
        write_text(&bytes, queue);
    write_text(&bytes, topic);
    write_map(&bytes, (uint32_t)n_headers);
    for (size_t i = 0; i < 2 * n_headers; i++)
        write_text(&bytes, "x");
    write_bin(&bytes, "", 0);
    return inbox_entry_read(span_of(bytes.data, bytes.len), &entry);
}

static void wrong_values_are_refused(void) {
    CU_ASSERT_EQUAL(read_made(1, 1, "q", "t", 0), 0);
    CU_ASSERT_EQUAL(read_made(1, INBOX_QUEUES_MAX, "q", "t", 0), 0);
    CU_ASSERT_EQUAL(read_made(1, INBOX_QUEUES_MAX + 1, "q", "t", 0), -EBADMSG);
    CU_ASSERT_EQUAL(read_made(2, 1, "q", "t", 0), -EBADMSG);
    CU_ASSERT_EQUAL(read_made(1, 0, "q", "t", 0), 0); /* a retained value */
    CU_ASSERT_EQUAL(read_made(1, 1, "a b", "t", 0), -EBADMSG);
    CU_ASSERT_EQUAL(read_made(1, 1, "ferry.x", "t", 0), -EBADMSG);
    CU_ASSERT_EQUAL(read_made(1, 1, "q", "t..u", 0), -EBADMSG);
    CU_ASSERT_EQUAL(read_made(1, 1, "q", "t", WIRE_HEADERS_MAX), 0);
    CU_ASSERT_EQUAL(read_made(1, 1, "q", "t", WIRE_HEADERS_MAX + 1), -EBADMSG);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(an_entry_is_read_as_it_was_written),
        TEST(a_message_needs_no_headers_and_no_body),
        TEST(a_job_is_read_as_it_was_written),
        TEST(wrong_values_of_a_job_are_refused),
        TEST(a_part_of_an_entry_is_refused),
        TEST(wrong_values_are_refused),
        TESTS_END,
    };

    return run_suite("broker/queues inbox-entry", tests);
}
