/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Random operations while shards come and leave at random moments. No confirmed job is lost, no job
 * comes back after its end was confirmed, no number is used twice, and at the end nothing is left
 * in memory. TEST_SEED repeats one run, TEST_SEEDS is the number of runs.
 */

#include "support/random.h"
#include "unit/broker/queues/shard-store.h"

enum { STEPS = 1500, WORKERS = 3, QUEUES = 5, BODIES = STEPS + 1, HELD_MAX = 64 };

typedef struct Body {
    uint64_t job; /* its number; 0: no confirmation has come */
    bool is_confirmed, is_dead;
    bool is_acked; /* a worker has sent ACK: if the shard has left since, the store may have done it
                    */
    bool is_done;  /* an ACK was confirmed */
} Body;

typedef struct Held {
    uint64_t job, attempt;
    unsigned body;
} Held;

static Dice dice;
static Body bodies[BODIES];
static unsigned n_bodies, n_problems;
static Session *pusher, *workers[WORKERS];
static Held held[WORKERS][HELD_MAX];
static unsigned n_held[WORKERS];
static Held asked[WORKERS][BODIES]; /* index: the id of the ACK */
static uint64_t last_ack;
static char queue_names[QUEUES][32];

static unsigned roll(unsigned below) {
    return (unsigned)dice_below(&dice, below);
}

static void check(bool is_right, const char *what, unsigned body) {
    if (!is_right && n_problems++ < 10)
        printf("\n    seed %llu: %s: body %u\n", (unsigned long long)dice.seed, what, body);
    CU_ASSERT_TRUE(is_right);
}

static unsigned body_of(const Message *message) {
    char text[16];

    copy_span(text, sizeof(text), message_body(message));
    return (unsigned)strtoul(text, NULL, 10);
}

/* ---- messages from the broker ---- */

static void hear_as_pusher(void) {
    const FakeSent *sent;

    while ((sent = fake_take(pusher))) {
        Body *body = &bodies[sent->message.id];

        if (sent->message.op != OP_OK)
            continue;
        check(!body->is_confirmed || sent->message.ok.outcome == PUSH_STORED_BEFORE,
              "confirmed twice", (unsigned)sent->message.id);
        body->is_confirmed = true;
        if (sent->message.ok.seq > 0)
            body->job = sent->message.ok.seq;
    }
}

static void hear_job(unsigned w, const Message *message) {
    unsigned number = body_of(message);
    Body *body = &bodies[number];

    check(!body->is_done, "delivered after its end", number);
    check(!body->job || body->job == message->job.job || body->is_dead, "its number has changed",
          number);
    for (unsigned i = 0; i < n_bodies && !body->job; i++)
        check(bodies[i].job != message->job.job, "its number is used twice", number);
    body->job = message->job.job;
    if (n_held[w] < HELD_MAX)
        held[w][n_held[w]++] = (Held){message->job.job, message->job.attempt, number};
}

static void hear_as_worker(unsigned w) {
    const FakeSent *sent;

    while ((sent = fake_take(workers[w]))) {
        const Message *message = &sent->message;

        if (message->op == OP_JOB)
            hear_job(w, message);
        else if (message->op == OP_OK && message->id < BODIES && asked[w][message->id].job)
            bodies[asked[w][message->id].body].is_done = true;
        for (unsigned i = 0; message->op == OP_LOST && i < n_held[w]; i++)
            if (held[w][i].job == message->lost.job)
                held[w][i] = held[w][--n_held[w]];
    }
}

static void hear(void) {
    rooms_turn_end(&broker);
    hear_as_pusher();
    for (unsigned w = 0; w < WORKERS; w++)
        hear_as_worker(w);
}

/* ---- steps ---- */

static void push_something(void) {
    const char *queue = queue_names[roll(QUEUES)];
    unsigned number = ++n_bodies;
    char text[16];

    snprintf(text, sizeof(text), "%u", number);
    switch (roll(5)) {
    case 0:
        push(pusher, number, queue, text, "order", roll(2) ? "a" : "b", NULL);
        break;
    case 1:
        push(pusher, number, queue, text, "delay", (uint64_t)roll(2000) + 1, NULL);
        break;
    case 2:
        push(pusher, number, queue, text, "priority", (uint64_t)roll(10), NULL);
        break;
    case 3:
        push(pusher, number, queue, text, "origin", "o", NULL);
        break;
    default:
        push(pusher, number, queue, text, NULL);
    }
}

static void settle_something(unsigned w) {
    unsigned i = n_held[w] ? roll(n_held[w]) : 0;
    Held one = held[w][i];

    if (n_held[w] == 0)
        return;
    held[w][i] = held[w][--n_held[w]];
    switch (roll(6)) {
    case 0:
        retry(workers[w], 0, one.job, one.attempt, roll(1000), "again");
        break;
    case 1:
        release(workers[w], 0, one.job, one.attempt);
        break;
    case 2:
        bodies[one.body].is_dead = true; /* it may become a dead letter, under another number */
        reject(workers[w], 0, one.job, one.attempt, "no");
        break;
    default:
        bodies[one.body].is_acked = true;
        asked[w][++last_ack] = one;
        ack(workers[w], last_ack, one.job, one.attempt);
    }
}

static void pull_all(unsigned w) {
    for (unsigned q = 0; q < QUEUES; q++)
        pull_and_wait(workers[w], BODIES + q, queue_names[q], 1 + roll(4));
}

static void replace_worker(unsigned w) {
    end_session(workers[w]);
    n_held[w] = 0;
    memset(asked[w], 0, sizeof(asked[w]));
    workers[w] = fake_connect(&broker, (uint8_t)('1' + w));
    pull_all(w);
}

static void end_some_changes(unsigned k) {
    TestShard *shard = &shards[k];

    for (unsigned n = roll(10); n > 0 && shard->n_changes > 0; n--) {
        ShardChange change = shard->changes[0];

        shard->n_changes--;
        memmove(shard->changes, shard->changes + 1, shard->n_changes * sizeof(change));
        shard_write(shard, &change);
        shard->store.done(change.ticket, 0, shard->store.ctx);
    }
}

/* The shard comes, or leaves: at once, or in order. A failed adoption leaves, too. */
static void move_shard(unsigned k) {
    Store *store = &shards[k].store;

    if (!store->away && roll(2)) {
        if (!queues_close_shard(queues, store))
            return; /* the changes must end first */
        let_go(k, true);
    } else if (!store->away) {
        let_go(k, roll(2));
        set_owner(k, roll(2) ? "tcp://b:5877" : NULL);
    } else if (queues_adopt_begin(queues, store) == 0) {
        size_t first = roll(2) ? shards[k].n : roll(4);

        restore_jobs(&shards[k], 0, first);
        hear();
        if (roll(5) == 0) {
            let_go(k, false);
            return;
        }
        restore_jobs(&shards[k], first, SIZE_MAX / 2);
        restore_rest(&shards[k]);
        queues_adopt_end(queues, store);
    }
}

static void step(void) {
    unsigned k = roll(N_SHARDS);

    switch (roll(12)) {
    case 0:
    case 1:
    case 2:
    case 3:
        push_something();
        break;
    case 4:
    case 5:
        settle_something(roll(WORKERS));
        break;
    case 6:
    case 7:
        end_some_changes(k);
        break;
    case 8:
        wait_ms(1 + roll(200));
        break;
    case 9:
        if (roll(4) == 0)
            replace_worker(roll(WORKERS));
        break;
    case 10:
        if (roll(2))
            move_shard(k);
        break;
    default:
        if (shards[k].store.closing)
            end_changes(&shards[k]);
    }
    hear();
}

/* ---- a run ---- */

static void begin(uint64_t seed) {
    empty_shards();
    memset(bodies, 0, sizeof(bodies));
    memset(asked, 0, sizeof(asked));
    memset(n_held, 0, sizeof(n_held));
    n_bodies = 0;
    last_ack = 0;
    dice = dice_of(seed);
    begin_broker();
    for (unsigned q = 0; q < QUEUES; q++)
        snprintf(queue_names[q], sizeof(queue_names[q]), "%s", queue_in(q % N_SHARDS, q));
    pusher = fake_connect(&broker, 'p');
    for (unsigned w = 0; w < WORKERS; w++) {
        workers[w] = fake_connect(&broker, (uint8_t)('1' + w));
        pull_all(w);
    }
}

/* All shards are here, and each job that is left is done. */
static void finish_all_jobs(void) {
    for (unsigned k = 0; k < N_SHARDS; k++) {
        TestShard *shard = &shards[k];

        if (shard->store.closing)
            let_go(k, true);
        turns_until_gone();
        if (shard->store.away)
            adopt(k);
    }
    for (int i = 0; i < 100; i++) {
        for (unsigned k = 0; k < N_SHARDS; k++)
            end_changes(&shards[k]);
        wait_ms(1000);
        hear();
        for (unsigned w = 0; w < WORKERS; w++)
            while (n_held[w] > 0) {
                Held one = held[w][--n_held[w]];

                bodies[one.body].is_acked = true;
                asked[w][++last_ack % BODIES] = one;
                ack(workers[w], last_ack % BODIES, one.job, one.attempt);
            }
    }
}

static bool is_dead_letter(unsigned number) {
    char text[16];

    snprintf(text, sizeof(text), "%u", number);
    for (unsigned k = 0; k < N_SHARDS; k++)
        for (size_t i = 0; i < shards[k].n; i++)
            if (strcmp(shards[k].jobs[i].body, text) == 0 &&
                strstr(shards[k].jobs[i].queue, ".dead"))
                return true;
    return false;
}

static void all_leave(void) {
    for (unsigned k = 0; k < N_SHARDS; k++) {
        for (size_t i = 0; i < shards[k].n; i++)
            check(strstr(shards[k].jobs[i].queue, ".dead"), "still in the store",
                  (unsigned)strtoul(shards[k].jobs[i].body, NULL, 10));
        let_go(k, true);
        turns_until_gone();
        CU_ASSERT_EQUAL(shards[k].store.n_jobs, 0);
        CU_ASSERT_EQUAL(shards[k].store.n_open, 0);
    }
    CU_ASSERT_PTR_NULL(queues->pages);
    while (broker.sessions.first)
        end_session(broker.sessions.first);
    wait_ms(QUEUE_IDLE_MS + 1);
    CU_ASSERT_EQUAL(queues_count(queues), 0);
    teardown();
}

static void no_confirmed_job_is_lost_while_shards_move(void) {
    unsigned n_confirmed = 0;

    EACH_SEED(seed, 1, 30) {
        begin(seed);
        for (int i = 0; i < STEPS; i++)
            step();
        finish_all_jobs();
        for (unsigned i = 1; i <= n_bodies; i++) {
            check(!bodies[i].is_confirmed || bodies[i].is_acked || is_dead_letter(i),
                  "confirmed, and neither done nor a dead letter", i);
            n_confirmed += bodies[i].is_confirmed;
        }
        all_leave();
    }
    CU_ASSERT(n_confirmed > 1000);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(no_confirmed_job_is_lost_while_shards_move),
        TESTS_END,
    };

    return run_suite("shards that move at random", tests);
}
