/* SPDX-License-Identifier: Apache-2.0 */
/* Old segments of the journal are emptied and removed: their valid records move. */

#include "broker/queues/restored-private.h"
#include "unit/broker/stores/disk-life.h"

#include "broker/stores/compact.h"

static FileOps small;

static void use_small_segments(void) {
    small = file_ops_posix;
    small.space = little_space;
    file_ops = &small;
    new_folder();
}

static Message again(uint64_t id) {
    return (Message){.op = OP_PUSH, .id = id, .name = span_text("q"), .body = span_text("again")};
}

/* Writes a hundred segments; all their jobs are done. */
static void push_and_work(Session *s) {
    static char body[8 * 1024];
    const FakeSent *sent;

    memset(body, 'x', sizeof(body) - 1);
    pull(s, 3, "q", 20);
    expect_ok(s, 3);
    for (uint64_t id = 10000; id < 11600; id += 20) {
        for (uint64_t i = 0; i < 20; i++)
            push(s, id + i, "q", body, NULL);
        until_sent(s, 40); /* an OK and a JOB for each push */
        while ((sent = fake_take(s)))
            if (sent->message.op == OP_JOB)
                ack(s, 0, sent->message.job.job, 1);
    }
    unpull(s, 0, 3);
}

/* Pushes and works, and waits until the old segments are removed. */
static void churn(Session *s) {
    push_and_work(s);
    for (int i = 0; i < 2000 && n_files(data, "journal-") > 3; i++)
        turn(10);
    CU_ASSERT(n_files(data, "journal-") <= 3);
    CU_ASSERT_NOT_EQUAL(access(file("journal-00000001"), F_OK), 0);
}

static void old_segments_are_removed_and_lose_nothing(void) {
    Message message;
    Session *s;

    use_small_segments();
    begin();
    s = fake_connect(&broker, 's');
    push(s, 1, "old", "carried", "priority", UINT64_C(3), NULL);
    push(s, 2, "keys", "keyed", "key", "k", NULL);
    until_sent(s, 2);
    fake_drop(s);
    CU_ASSERT_EQUAL(queues_pause(queues, span_text("old"), true, NULL, 0), QUEUES_LATER);
    churn(s);
    crash();
    begin();
    s = fake_connect(&broker, 's');
    restored_pushes_adopt(queues, s->client);
    CU_ASSERT_EQUAL(count_of("q", "ready"), UINT64_MAX);
    CU_ASSERT_EQUAL(count_of("old", "ready"), 1);
    pull(s, 1, "old", 1);
    expect_ok(s, 1);
    expect_nothing(s);
    message = again(1);
    queues_push(queues, s, &message, NULL);
    CU_ASSERT_EQUAL(expect_ok(s, 1), 0);
    push(s, 5000, "keys", "keyed", "key", "k", NULL);
    CU_ASSERT_EQUAL(expect_ok(s, 5000), 0);
    CU_ASSERT_EQUAL(queues_pause(queues, span_text("old"), false, NULL, 0), QUEUES_LATER);
    turn(0);
    expect_job(s, 1, "carried", 1);
    stop();
    file_ops = &file_ops_posix;
}

/* ---- messages of several queues ---- */

/* The number of times that the text is in the segments. */
static size_t n_copies(const char *text) {
    size_t n = 0;

    for (int number = 1; number < 1000; number++) {
        char name[32];
        const char *at;
        uint8_t *bytes;
        struct stat info;
        int fd;

        snprintf(name, sizeof(name), "journal-%08d", number);
        fd = open(file(name), O_RDONLY);
        if (fd < 0)
            continue;
        CU_ASSERT_EQUAL_FATAL(fstat(fd, &info), 0);
        bytes = malloc((size_t)info.st_size);
        CU_ASSERT_EQUAL_FATAL(read(fd, bytes, (size_t)info.st_size), info.st_size);
        close(fd);
        at = (char *)bytes;
        while ((at = memmem(at, (size_t)info.st_size - (size_t)(at - (char *)bytes), text,
                            strlen(text)))) {
            n++;
            at += strlen(text);
        }
        free(bytes);
    }
    return n;
}

enum { SHARED_BODY = 2000 };

/* Stores two messages in the queues a and b. The job of the second one in b is done. */
static Session *begin_with_shared(char *one, char *two) {
    Session *s;
    uint64_t jobs[2];

    memset(one, '1', SHARED_BODY);
    memset(two, '2', SHARED_BODY);
    one[SHARED_BODY] = two[SHARED_BODY] = '\0';
    use_small_segments();
    begin();
    s = fake_connect(&broker, 's');
    fan_out(s, 1, two, "a", "b");
    fan_out(s, 2, one, "a", "b");
    until_sent(s, 2);
    fake_drop(s);
    pull(s, 1, "b", 2);
    until_sent(s, 3);
    expect_ok(s, 1);
    jobs[0] = expect_job(s, 1, two, 1);
    jobs[1] = expect_job(s, 1, one, 1);
    unpull(s, 0, 1);
    ack(s, 2, jobs[0], 1);
    retry(s, 3, jobs[1], 1, 1, "busy");
    until_sent(s, 2);
    fake_drop(s);
    return s;
}

/* Checks the jobs: those of a are new, the one of b has been returned once. */
static void expect_shared(const char *one, const char *two) {
    Session *s = fake_connect(&broker, 't');

    CU_ASSERT_EQUAL(count_of("a", "ready"), 2);
    wait_ms(2);
    CU_ASSERT_EQUAL(count_of("b", "ready"), 1);
    pull(s, 1, "a", 2);
    until_sent(s, 3);
    expect_ok(s, 1);
    expect_job(s, 1, two, 1);
    expect_job(s, 1, one, 1);
    pull(s, 2, "b", 2);
    until_sent(s, 2);
    expect_ok(s, 2);
    expect_job(s, 2, one, 2);
    expect_nothing(s);
    end_session(s);
}

static void jobs_that_share_a_body_share_it_in_a_new_segment(void) {
    char one[SHARED_BODY + 1], two[SHARED_BODY + 1];

    for (int in_memory = 0; in_memory < 2; in_memory++) {
        memory_of_queues = in_memory ? 0 : 1;
        churn(begin_with_shared(one, two));
        CU_ASSERT_EQUAL(n_copies(one), 1);
        CU_ASSERT_EQUAL(n_copies(two), 1);
        crash();
        begin();
        expect_shared(one, two);
        stop();
    }
    memory_of_queues = 0;
    file_ops = &file_ops_posix;
}

static int compact(void) {
    Contents contents;
    Folder folder;
    int r = folder_open(&folder, data, false, NULL);

    if (r == 0)
        r = scan_folder(&folder, &contents, NULL);
    if (r == 0)
        r = store_compact(&folder, &contents, NULL);
    contents_deinit(&contents);
    folder_close(&folder);
    return r;
}

static void a_compacted_folder_has_shared_bodies_once(void) {
    char one[SHARED_BODY + 1], two[SHARED_BODY + 1];

    begin_with_shared(one, two);
    stop();
    for (int i = 0; i < 2; i++) {
        CU_ASSERT_EQUAL(compact(), 0);
        CU_ASSERT_EQUAL(n_copies(one), 1);
        CU_ASSERT_EQUAL(n_copies(two), 1);
    }
    begin();
    expect_shared(one, two);
    stop();
    file_ops = &file_ops_posix;
}

/* ---- records of a later version ---- */

enum { UNKNOWN_TYPE = 99, TYPE_AT = 32 };

/* Adds a whole record of an unknown type to the end of the last segment. */
static void add_unknown_record(void) {
    CLEANUP(buffer_deinit) Buffer bytes = {0};
    const FoundSegment *last;
    char path[FOLDER_FILE_MAX];
    Contents contents;
    Folder folder;
    int fd;

    CU_ASSERT_EQUAL_FATAL(folder_open(&folder, data, false, NULL), 0);
    CU_ASSERT_EQUAL_FATAL(scan_folder(&folder, &contents, NULL), 0);
    last = &contents.segments[contents.n_segments - 1];
    record_append(&bytes, &(DiskRecord){.type = RECORD_LAST, .id = contents.last_job});
    bytes.data[TYPE_AT] = UNKNOWN_TYPE;
    record_seal(bytes.data, segment_seed(&folder, last->number), contents.sequence + 1,
                contents.sequence);
    segment_path(&folder, last->number, path);
    fd = open(path, O_WRONLY);
    CU_ASSERT_EQUAL(pwrite(fd, bytes.data, bytes.len, (off_t)last->size), (ssize_t)bytes.len);
    close(fd);
    contents_deinit(&contents);
    folder_close(&folder);
}

static void records_that_cannot_be_read_are_never_removed(void) {
    Session *s;

    use_small_segments();
    begin();
    s = fake_connect(&broker, 's');
    push(s, 1, "kept", "x", NULL);
    until_sent(s, 1);
    stop();
    add_unknown_record();
    CU_ASSERT_EQUAL(compact(), -EBADMSG);
    begin();
    s = fake_connect(&broker, 's');
    push_and_work(s);
    CU_ASSERT_EQUAL(access(file("journal-00000001"), F_OK), 0);
    CU_ASSERT_EQUAL(count_of("kept", "ready"), 1);
    stop();
    file_ops = &file_ops_posix;
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(old_segments_are_removed_and_lose_nothing),
        TEST(jobs_that_share_a_body_share_it_in_a_new_segment),
        TEST(a_compacted_folder_has_shared_bodies_once),
        TEST(records_that_cannot_be_read_are_never_removed),
        TESTS_END,
    };
    int r;

    log_level = LOG_LEVEL_ERROR;
    r = run_suite("broker stores: cleaning", tests);
    remove_work();
    return r;
}
