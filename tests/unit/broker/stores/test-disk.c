/* SPDX-License-Identifier: Apache-2.0 */
/* The disk store under the real queue router: confirmed jobs come back. */

#include "unit/broker/stores/disk-life.h"
#include "unit/broker/stores/survival.h"

#include <stdatomic.h>
#include <sys/file.h>
#include <sys/syscall.h>

#include "base/clock.h"
#include "support/random.h"

/* ---- a disk that fails ---- */

static int lock_fails; /* flock() fails with this errno */

/* Replaces the C library's flock(): a file system without locks. */
int flock(int fd, int operation) {
    if (!lock_fails)
        return (int)syscall(SYS_flock, fd, operation);
    errno = lock_fails;
    return -1;
}

static FileOps faulty;
/* The journal's threads read these: */
static atomic_int flush_fails;                /* a flush fails with this negative errno */
static atomic_uint_fast64_t space = 1u << 30; /* bytes that reserve() may still use */

static int faulty_flush(int fd) {
    return flush_fails ? flush_fails : file_ops_posix.flush(fd);
}

static int faulty_reserve(int fd, uint64_t size) {
    if (size > space)
        return -ENOSPC;
    space -= size;
    return file_ops_posix.reserve(fd, size);
}

static void use_faulty_disk(void) {
    faulty = file_ops_posix;
    faulty.flush = faulty_flush;
    faulty.reserve = faulty_reserve;
    faulty.space = little_space;
    flush_fails = 0;
    space = 1u << 30;
    file_ops = &faulty;
    new_folder();
}

/* ---- lives ---- */

static void an_interval_confirms_at_once_and_is_written_by_itself(void) {
    Session *s;

    new_folder();
    begin();
    configure("q", "durability", "interval:20ms");
    s = fake_connect(&broker, 's');
    push(s, 1, "q", "x", NULL);
    CU_ASSERT_NOT_EQUAL(expect_ok(s, 1), 0);
    pull(s, 2, "q", 1);
    fake_drop(s);
    stop();
    begin();
    CU_ASSERT_EQUAL(count_of("q", "ready") + count_of("q", "held"), 1);
    stop();
}

/* A thread of the journal polls for a while, and then sleeps: work that comes in between is done,
 * too. */
static void a_push_is_stored_whenever_it_comes(void) {
    enum { PUSHES = 500, PAUSE_US = 160 };
    Dice dice = dice_new(7);
    Session *s;

    new_folder();
    begin();
    s = fake_connect(&broker, 's');
    for (uint64_t id = 1; id <= PUSHES; id++) {
        uint64_t until_us = clock_us() + dice_below(&dice, PAUSE_US);

        while (clock_us() < until_us)
            continue;
        push(s, id, "q", "x", NULL);
        until_sent(s, 1);
        CU_ASSERT_NOT_EQUAL_FATAL(expect_ok(s, id), 0);
    }
    crash();
    begin();
    CU_ASSERT_EQUAL(count_of("q", "ready"), PUSHES);
    stop();
}

static void an_interval_job_may_end_before_it_is_written(void) {
    Session *s;

    new_folder();
    begin();
    configure("q", "durability", "interval:20ms");
    configure("r", "durability", "disk");
    s = fake_connect(&broker, 's');
    pull(s, 1, "q", 2);
    push(s, 2, "q", "x", NULL);
    push(s, 3, "q", "y", NULL);
    expect_ok(s, 1);
    CU_ASSERT_NOT_EQUAL(expect_ok(s, 2), 0);
    ack(s, 4, expect_job(s, 1, "x", 1), 1);
    CU_ASSERT_NOT_EQUAL(expect_ok(s, 3), 0);
    forward(s, 5, expect_job(s, 1, "y", 1), 1, "r", "z");
    expect_ok(s, 4);
    until_sent(s, 1);
    expect_ok(s, 5);
    crash();
    begin();
    CU_ASSERT_EQUAL(count_of("q", "ready"), UINT64_MAX);
    CU_ASSERT_EQUAL(count_of("r", "ready"), 1);
    stop();
}

/* ---- folders ---- */

static void refuses(const char *because) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;

    CU_ASSERT(try_begin(&error) < 0);
    CU_ASSERT_PTR_NOT_NULL(error.message);
    if (error.message && !strstr(error.message, because))
        printf("'%s' is not in '%s'\n", because, error.message);
    CU_ASSERT(error.message && strstr(error.message, because));
    stop();
}

static void write_file(const char *path, const char *text) {
    FILE *to = fopen(path, "w");

    CU_ASSERT_PTR_NOT_NULL_FATAL(to);
    fputs(text, to);
    fclose(to);
}

static void folders_of_other_programs_are_refused(void) {
    new_folder();
    mkdir(data, 0700);
    write_file(file("notes.txt"), "mine\n");
    refuses("is not a data folder of ferry: it has a file 'notes.txt'");
    CU_ASSERT_EQUAL(access(file("notes.txt"), F_OK), 0);
    new_folder();
    mkdir(data, 0700);
    write_file(file("format"),
               "ferry data folder\nformat 2\nid 00000000000000000000000000000000\n");
    refuses("a newer ferry has written this folder in format 2");
    write_file(file("format"), "something else\n");
    refuses("format is damaged, or not a file of ferry");
    write_file(file("format"), "ferry data folder\nformat 1\nid 12\n");
    refuses("it has no valid format and id");
    new_folder();
    write_file(data, "a file");
    refuses("Not a directory");
}

static void a_folder_has_one_broker(void) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    Store *second;

    new_folder();
    begin();
    second = store_disk_new(data);
    CU_ASSERT(second->ops->open(second, &waker, &error) < 0);
    CU_ASSERT(error.message && strstr(error.message, "another broker uses"));
    second->ops->close(second);
    store_disk_free(second);
    stop();
}

static void a_file_system_without_locks_is_refused(void) {
    new_folder();
    lock_fails = ENOLCK;
    refuses("cannot lock");
    lock_fails = 0;
    begin();
    stop();
}

/* ---- damage ---- */

/* Two lives push three jobs each; the second life's records prove that the first one's were
 * flushed. */
static void fill(void) {
    Session *s;

    new_folder();
    begin();
    s = fake_connect(&broker, 's');
    push(s, 1, "q", "first job", NULL);
    until_sent(s, 1);
    push(s, 2, "q", "second job", NULL);
    until_sent(s, 2);
    push(s, 3, "q", "third job", NULL);
    until_sent(s, 3);
}

static void expect_bodies(const char *a, const char *b) {
    Session *s = fake_connect(&broker, 'w');

    pull(s, 1, "q", 9);
    expect_ok(s, 1);
    expect_job(s, 1, a, 1);
    expect_job(s, 1, b, 1);
    expect_nothing(s);
}

static void a_flipped_bit_costs_one_job_and_is_reported(void) {
    fill();
    stop();
    flip(file("journal-00000001"), place_of(file("journal-00000001"), "second job"));
    begin();
    CU_ASSERT_EQUAL(count_of("q", "ready"), 2);
    CU_ASSERT_EQUAL(n_files(file("quarantine"), "damaged-00000001-"), 1);
    expect_bodies("first job", "third job");
    stop();
    /* The next start does not report the damage again. */
    begin();
    CU_ASSERT_EQUAL(n_files(file("quarantine"), "damaged-"), 1);
    CU_ASSERT_EQUAL(n_files(file("quarantine"), ""), 3); /* one file, and the entries . and .. */
    stop();
}

static void a_torn_end_is_cut(void) {
    long at;

    fill();
    crash();
    at = place_of(file("journal-00000001"), "third job");
    flip(file("journal-00000001"), at + 3);
    for (int life = 0; life < 2; life++) {
        begin();
        CU_ASSERT_EQUAL(count_of("q", "ready"), 2);
        CU_ASSERT_EQUAL(n_files(file("quarantine"), "torn-"), 1);
        CU_ASSERT_EQUAL(n_files(file("quarantine"), "damaged-"), 0);
        stop();
    }
}

static void a_cut_off_file_is_noticed(void) {
    long at;

    fill();
    stop();
    at = place_of(file("journal-00000001"), "second job");
    begin(); /* a second segment proves that the first segment was longer */
    push(fake_connect(&broker, 't'), 1, "q", "fourth job", NULL);
    stop();
    CU_ASSERT_EQUAL(truncate(file("journal-00000001"), at), 0);
    begin();
    CU_ASSERT_EQUAL(n_files(file("quarantine"), "damaged-00000001-"), 1);
    expect_bodies("first job", "fourth job");
    stop();
}

static void a_damaged_head_hides_no_job(void) {
    fill();
    stop();
    flip(file("journal-00000001"), 20);
    begin();
    CU_ASSERT_EQUAL(count_of("q", "ready"), 3);
    stop();
}

/* ---- disks that fail or are full ---- */

static void after_a_failed_flush_nothing_is_confirmed(void) {
    uint64_t job;
    Session *s;

    use_faulty_disk();
    begin();
    s = fake_connect(&broker, 's');
    push(s, 1, "q", "safe", NULL);
    until_sent(s, 1);
    fake_drop(s);
    flush_fails = -EIO;
    push(s, 2, "q", "unknown", NULL);
    for (int i = 0; i < 2000 && !queues_broken(queues); i++)
        turn(10);
    CU_ASSERT_TRUE(queues_broken(queues));
    CU_ASSERT_PTR_NOT_NULL(queues_degraded(queues));
    flush_fails = 0; /* another flush would report success falsely: it is not tried */
    push(s, 3, "q", "refused", NULL);
    expect_error(s, 3, "ferry.Internal");
    pull(s, 4, "q", 5);
    expect_ok(s, 4);
    job = expect_job(s, 4, "safe", 1);
    ack(s, 5, job, 1);
    for (int i = 0; i < 5; i++)
        turn(10);
    expect_nothing(s);
    crash();
    begin();
    CU_ASSERT(count_of("q", "ready") >= 1);
    stop();
    file_ops = &file_ops_posix;
}

static void a_full_disk_refuses_pushes_and_takes_acknowledgements(void) {
    static char body[20 * 1024];
    uint64_t id = 1, jobs[200], n_stored = 0;
    const FakeSent *sent;
    Session *s;

    use_faulty_disk();
    begin();
    s = fake_connect(&broker, 's');
    memset(body, 'x', sizeof(body) - 1);
    space = 400 * 1024; /* space for three more segments */
    for (; id < 200; id++) {
        push(s, id, "q", body, NULL);
        until_sent(s, 1);
        sent = fake_take(s);
        if (sent->message.op == OP_ERROR)
            break;
        n_stored++;
    }
    CU_ASSERT(n_stored > 10 && n_stored < 199);
    CU_ASSERT_STRING_EQUAL(sent->type, "ferry.Full");
    turn(10);
    CU_ASSERT(queues_degraded(queues) && strstr(queues_degraded(queues), "the disk is full"));
    CU_ASSERT_FALSE(queues_broken(queues));
    pull(s, 1000, "q", 200);
    expect_ok(s, 1000);
    for (uint64_t i = 0; i < n_stored; i++)
        jobs[i] = expect_job(s, 1000, body, 1);
    for (uint64_t i = 0; i < n_stored; i++)
        ack(s, 2000 + i, jobs[i], 1);
    until_sent(s, n_stored);
    for (uint64_t i = 0; i < n_stored; i++)
        expect_ok(s, 2000 + i);
    /* When there is space again, pushes are accepted without a restart. */
    space = 1u << 30;
    for (int i = 0; i < 2000 && queues_degraded(queues); i++)
        turn(10);
    CU_ASSERT_PTR_NULL(queues_degraded(queues));
    push(s, 5000, "r", "more", NULL);
    until_sent(s, 1);
    CU_ASSERT_NOT_EQUAL(expect_ok(s, 5000), 0);
    crash();
    begin();
    CU_ASSERT_EQUAL(count_of("q", "ready"), UINT64_MAX);
    CU_ASSERT_EQUAL(count_of("r", "ready"), 1);
    stop();
    file_ops = &file_ops_posix;
}

int main(void) {
    CU_TestInfo tests[] = {
        SURVIVAL_TESTS,
        TEST(a_push_is_stored_whenever_it_comes),
        TEST(an_interval_confirms_at_once_and_is_written_by_itself),
        TEST(an_interval_job_may_end_before_it_is_written),
        TEST(folders_of_other_programs_are_refused),
        TEST(a_folder_has_one_broker),
        TEST(a_file_system_without_locks_is_refused),
        TEST(a_flipped_bit_costs_one_job_and_is_reported),
        TEST(a_torn_end_is_cut),
        TEST(a_cut_off_file_is_noticed),
        TEST(a_damaged_head_hides_no_job),
        TEST(after_a_failed_flush_nothing_is_confirmed),
        TEST(a_full_disk_refuses_pushes_and_takes_acknowledgements),
        TESTS_END,
    };
    int r;

    log_level = LOG_LEVEL_ERROR;
    r = run_suite("broker stores: disk", tests);
    remove_work();
    return r;
}
