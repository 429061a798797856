/* SPDX-License-Identifier: Apache-2.0 */
/* The order of the pushes to a queue, while queues move and sessions end. */

#include <stdio.h>
#include <stdlib.h>

#include "moved-scene.h"
#include "support/random.h"
#include "support/suite.h"

enum { QUEUES = 8 };

/* A cluster whose queues move while the client pushes, and whose sessions end: each stores a push
 * once, as brokers with one store do. */
typedef struct Model {
    Dice dice;
    int owners[QUEUES];
    int n_stored[QUEUES]; /* the next body */
    uint64_t last_id[QUEUES];
    int n_moves, n_cuts, n_repeated, n_wrong;
} Model;

static Model model;

static void store(Model *to, int queue, const Message *message) {
    char body[16];

    copy_text(body, sizeof(body), message->body);
    if (message->id <= to->last_id[queue]) {
        to->n_repeated++;
    } else {
        to->n_wrong += atoi(body) != to->n_stored[queue]++;
        to->last_id[queue] = message->id;
    }
}

static void by_model(int at, int fd, const Message *message) {
    ScriptedSession *session = scripted_session(&brokers[at], fd);
    int queue = message->name.data[1] - '0', *at_home = &model.owners[queue];
    /* The notes of the session: the count of its answers ferry.Moved, and for each queue the count
     * after the last one. */
    uint64_t *n_moved = &session->notes[QUEUES], *moved_at = &session->notes[queue];
    unsigned chance = (unsigned)dice_below(&model.dice, 1000);

    if (chance < 20) {
        *at_home = (int)dice_below(&model.dice, N + 1) - 1;
        model.n_moves++;
    }
    if (*at_home != at || seen[n_seen - 1].moved < *moved_at) {
        *moved_at = ++*n_moved;
        scripted_moved(fd, message->id, *at_home == UNKNOWN ? NULL : &brokers[*at_home], *n_moved);
    } else {
        store(&model, queue, message);
        if (chance < 998) {
            scripted_ok(fd, message->id);
        } else {
            model.n_cuts++;
            scripted_end(&brokers[at], fd);
        }
    }
    if (*at_home == UNKNOWN)
        *at_home = (int)dice_below(&model.dice, 2) == 0 ? 0 : UNKNOWN;
    n_seen = 0;
}

static void push_in_a_storm(uint64_t seed) {
    ferry_client *client = set_up("012", &(ferry_options){.timeout_ms = 600000});
    enum { PUSHES = 2000 };
    int results[2] = {0}, numbers[QUEUES] = {0};
    Dice dice = dice_of(seed + 1000);

    model = (Model){.dice = dice_of(seed)};
    answer = by_model;
    for (int i = 0; i < PUSHES; i++) {
        int queue = (int)dice_below(&dice, QUEUES);
        char name[] = "q0";

        name[1] = (char)('0' + queue);
        CU_ASSERT_EQUAL_FATAL(push_async(client, name, numbers[queue]++, results), 0);
        if (dice_below(&dice, 50) == 0)
            ferry_process(client, NULL);
        if (dice_below(&dice, 500) == 0)
            CU_ASSERT_EQUAL(flush(client), 0);
    }
    CU_ASSERT_EQUAL(flush(client), 0);
    ferry_process(client, NULL);
    scripted_lock();
    CU_ASSERT_EQUAL(results[0], PUSHES);
    CU_ASSERT_EQUAL(results[1], 0);
    CU_ASSERT_EQUAL(model.n_wrong, 0);
    for (int i = 0; i < QUEUES; i++)
        CU_ASSERT_EQUAL(model.n_stored[i], numbers[i]);
    CU_ASSERT_TRUE(model.n_moves > 0);
    printf("\n      seed %llu: %d moves, %d cut sessions, %d pushes repeated",
           (unsigned long long)seed, model.n_moves, model.n_cuts, model.n_repeated);
    scripted_unlock();
    tear_down(client);
}

static void pushes_of_a_queue_keep_their_order_while_it_moves(void) {
    EACH_SEED(seed, 1, 3) {
        push_in_a_storm(seed);
    }
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(pushes_of_a_queue_keep_their_order_while_it_moves),
        TESTS_END,
    };

    return run_suite("order of pushes to queues that move", tests);
}
