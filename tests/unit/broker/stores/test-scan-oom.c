/* SPDX-License-Identifier: Apache-2.0 */
/* Each allocation fails once while a data folder is read: the scan fails, or has found everything.
 */

#include "broker/stores/scan.h"

#include "support/oom.h"
#include "unit/broker/stores/disk-life.h"

/* Writes a folder that has a job, a push id, a paused queue and a fact. */
static void fill_folder(void) {
    Session *s;

    new_folder();
    begin();
    s = fake_connect(&broker, 's');
    push(s, 1, "q", "job", NULL);
    until_sent(s, 1);
    CU_ASSERT_EQUAL(queues_pause(queues, span_text("q"), true, NULL, 0), QUEUES_LATER);
    CU_ASSERT_EQUAL(
        queues_keep_fact(queues, span_text("q"), span_text("bind q t"), span_text("1"), s, 2),
        QUEUES_LATER);
    until_sent(s, 2);
    stop();
}

static void no_part_of_the_folder_is_lost_without_an_error(void) {
    Folder folder;

    log_level = LOG_LEVEL_ERROR;
    fill_folder();
    CU_ASSERT_EQUAL_FATAL(folder_open(&folder, data, false, NULL), 0);
    OOM_EACH(n) {
        Contents found = {0};
        int r = scan_folder(&folder, &found, NULL);

        OOM_STOP;
        CU_ASSERT_EQUAL(r, oom_happened() ? -ENOMEM : 0);
        if (r == 0) {
            CU_ASSERT_EQUAL(found.jobs.n, 1);
            CU_ASSERT_EQUAL(HASH_COUNT(found.queues), 1);
            CU_ASSERT_EQUAL(HASH_COUNT(found.clients), 1);
            CU_ASSERT_EQUAL(HASH_COUNT(found.facts), 1);
        }
        contents_deinit(&found);
    }
    folder_close(&folder);
    remove_work();
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(no_part_of_the_folder_is_lost_without_an_error),
        TESTS_END,
    };

    return run_suite("broker stores: scan out of memory", tests);
}
