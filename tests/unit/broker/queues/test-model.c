/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Random operations, compared with a model that is too simple to be wrong. No job is lost, no job
 * is delivered twice without a reason, and first deliveries are first in first out within each
 * priority. FERRY_TEST_SEED repeats one run, FERRY_TEST_SEEDS is the number of runs.
 */

#include "broker/queues/queues-private.h"
#include "unit/broker/queues/verbs.h"

enum {
    N_OPS = 3000,
    N_CLIENTS = 4,
    N_QUEUES = 2,
    MAX_ATTEMPTS = 6,
    GRACE_MS = 500,
    MAX_JOBS = 2 * N_OPS,
};

typedef enum State { NONE, READY, DELAYED, HELD, LOST, DONE, DEAD } State;

typedef struct ModelJob {
    State state;
    int queue, client; /* client: the client that may settle it; -1: no client */
    uint64_t attempt, until_ms;
    unsigned priority, n_lost;
    bool under_pull, was_delivered, was_delayed;
} ModelJob;

/* A settlement that its client may repeat: the client gets the same answer again. */
typedef struct Settlement {
    int client;
    uint64_t job, attempt;
    Op op;
} Settlement;

static Settlement settlements[N_OPS];
static unsigned n_settlements;
static const char *const names[N_QUEUES] = {"one", "two"};
static ModelJob jobs[MAX_JOBS];
static uint64_t n_jobs;
static Session *sessions[N_CLIENTS];
static uint64_t slots[N_CLIENTS][N_QUEUES];
static uint64_t last_first[N_QUEUES][10];
static bool paused[N_QUEUES];
static uint64_t seed, state;
static uint64_t last_id = 1000;
static unsigned n_problems;

static uint64_t roll(uint64_t below) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state % below;
}

static void check(bool fine, const char *what, uint64_t job) {
    if (!fine && n_problems++ < 10)
        printf("seed %llu: %s: job %llu\n", (unsigned long long)seed, what,
               (unsigned long long)job);
}

static bool must_quarantine(const ModelJob *job) {
    return job->n_lost >= 3 || job->n_lost + 1 >= MAX_ATTEMPTS;
}

static uint64_t n_under_pull(int client, int queue) {
    uint64_t n = 0;

    for (uint64_t id = 1; id <= n_jobs; id++)
        n += jobs[id].state == HELD && jobs[id].client == client && jobs[id].queue == queue &&
             jobs[id].under_pull;
    return n;
}

/* ---- the model and the events ---- */

static void fail_delivery(ModelJob *job) {
    if (job->attempt >= MAX_ATTEMPTS) {
        job->state = DEAD;
        job->client = -1;
    } else {
        job->state = READY;
    }
}

static void tick(void) {
    for (uint64_t id = 1; id <= n_jobs; id++) {
        ModelJob *job = &jobs[id];

        if (job->state == DELAYED && job->until_ms <= broker.now_ms) {
            job->state = READY;
        } else if (job->state == LOST && job->until_ms <= broker.now_ms) {
            job->n_lost++;
            fail_delivery(job);
        }
    }
}

static void on_job(int client, const Message *message) {
    ModelJob *job = message->job.job <= n_jobs ? &jobs[message->job.job] : NULL;
    int queue = message->job.pull % 2 ? 1 : 0;

    check(job && job->state != NONE, "an unknown job was delivered", message->job.job);
    if (!job)
        return;
    check(job->state == READY, "delivered without a reason", message->job.job);
    check(job->queue == queue, "delivered from the wrong queue", message->job.job);
    check(!paused[queue], "delivered while paused", message->job.job);
    check(message->job.attempt == job->attempt + 1, "the attempt is wrong", message->job.job);
    check(n_under_pull(client, queue) < slots[client][queue], "more than the slots",
          message->job.job);
    for (uint64_t id = 1; id <= n_jobs; id++)
        if (jobs[id].state == HELD && jobs[id].client == client && jobs[id].queue == queue &&
            jobs[id].under_pull && must_quarantine(&jobs[id]))
            check(false, "delivered beside a quarantined job", message->job.job);
    if (must_quarantine(job))
        check(n_under_pull(client, queue) == 0, "a quarantined job was not alone",
              message->job.job);
    if (!job->was_delivered && !job->was_delayed) {
        check(message->job.job > last_first[queue][job->priority], "out of order",
              message->job.job);
        last_first[queue][job->priority] = message->job.job;
    }
    job->was_delivered = true;
    job->state = HELD;
    job->client = client;
    job->under_pull = true;
    job->attempt = message->job.attempt;
}

/* The answer to the last settlement of do_settle(). */
static uint64_t answer_id;
static Op answer_op;

/* Takes the messages in the order in which they were sent, over all sessions. */
static void take_all(void) {
    for (;;) {
        const FakeSent *next = NULL;
        int from = 0;

        for (int client = 0; client < N_CLIENTS; client++) {
            const FakeSent *sent = sessions[client] ? fake_peek(sessions[client]) : NULL;

            if (sent && (!next || sent->number < next->number)) {
                next = sent;
                from = client;
            }
        }
        if (!next)
            return;
        next = fake_take(sessions[from]);
        if (next->message.op == OP_JOB)
            on_job(from, &next->message);
        else if (next->message.id == answer_id)
            answer_op = (Op)next->message.op;
    }
}

/* Checks that the router's counts equal the model's, and that no job waits that could be
 * delivered. */
static void compare(void) {
    for (int queue = 0; queue < N_QUEUES; queue++) {
        uint64_t n[DEAD + 1] = {0};
        bool any_quarantined = false, room = false;

        for (uint64_t id = 1; id <= n_jobs; id++)
            if (jobs[id].queue == queue) {
                n[jobs[id].state]++;
                any_quarantined |= must_quarantine(&jobs[id]);
            }
        if (n_jobs == 0 || count_of(names[queue], "ready") == UINT64_MAX)
            continue;
        check(count_of(names[queue], "ready") == n[READY], "ready differs", (uint64_t)queue);
        check(count_of(names[queue], "delayed") == n[DELAYED], "delayed differs", (uint64_t)queue);
        check(count_of(names[queue], "held") == n[HELD] + n[LOST], "held differs", (uint64_t)queue);
        check(count_of(names[queue], "dead") == n[DEAD], "dead differs", (uint64_t)queue);
        for (int client = 0; client < N_CLIENTS; client++)
            room |= sessions[client] && n_under_pull(client, queue) < slots[client][queue];
        if (!any_quarantined)
            check(paused[queue] || n[READY] == 0 || !room, "a job waits for nothing",
                  (uint64_t)queue);
    }
}

/* ---- settlements ---- */

static bool was_settled(Settlement by) {
    for (unsigned i = 0; i < n_settlements; i++)
        if (settlements[i].client == by.client && settlements[i].job == by.job &&
            settlements[i].attempt == by.attempt && settlements[i].op == by.op)
            return true;
    return false;
}

static void forget_settlements(int client) {
    for (unsigned i = 0; i < n_settlements; i++)
        if (settlements[i].client == client)
            settlements[i].client = -1;
}

/* ---- operations ---- */

static void do_push(void) {
    int queue = (int)roll(N_QUEUES), client = (int)roll(N_CLIENTS);
    unsigned priority = (unsigned)roll(3);
    uint64_t delay_ms = roll(4) == 0 ? roll(200) : 0;
    ModelJob *job;

    if (!sessions[client] || n_jobs + 1 >= MAX_JOBS)
        return;
    /* The model must know the job before it is delivered. Dead letters use up numbers, too. */
    n_jobs = queues->last_job + 1;
    job = &jobs[n_jobs];
    *job = (ModelJob){.state = delay_ms ? DELAYED : READY,
                      .queue = queue,
                      .client = -1,
                      .until_ms = broker.now_ms + delay_ms,
                      .priority = priority,
                      .was_delayed = delay_ms > 0};
    push(sessions[client], 0, names[queue], "x", "priority", (uint64_t)priority, "delay", delay_ms,
         NULL);
}

static void do_pull(int client) {
    for (int queue = 0; queue < N_QUEUES; queue++) {
        slots[client][queue] = 1 + roll(6);
        last_id += 2;
        pull(sessions[client], last_id / 2 * 2 + (uint64_t)queue, names[queue],
             slots[client][queue]);
    }
}

static void do_connect(int client) {
    Buffer held = {0}, kept = {0};
    uint32_t n = 0;

    sessions[client] = fake_connect(&broker, (uint8_t)('a' + client));
    for (uint64_t id = 1; id <= n_jobs; id++)
        n += jobs[id].state == LOST && jobs[id].client == client;
    write_array(&held, n);
    for (uint64_t id = 1; id <= n_jobs; id++) {
        ModelJob *job = &jobs[id];

        if (job->state != LOST || job->client != client)
            continue;
        write_array(&held, 2);
        write_uint(&held, id);
        if (roll(2)) {
            write_uint(&held, job->attempt);
            job->state = HELD;
            job->under_pull = false;
        } else {
            write_uint(&held, job->attempt + 1);
        }
    }
    queues_held(queues, sessions[client]->client, span_of(held.data, held.len), &kept);
    buffer_deinit(&held);
    buffer_deinit(&kept);
    do_pull(client);
}

static void do_disconnect(int client) {
    bool bye = roll(4) == 0;

    for (uint64_t id = 1; id <= n_jobs; id++) {
        ModelJob *job = &jobs[id];

        if (job->client != client || (job->state != HELD && !(bye && job->state == LOST)))
            continue;
        job->state = LOST;
        job->until_ms = broker.now_ms + GRACE_MS;
        if (bye)
            fail_delivery(job);
    }
    if (bye) {
        forget_settlements(client);
        say_bye(sessions[client]);
    } else {
        end_session(sessions[client]);
    }
    sessions[client] = NULL;
}

static void do_settle(void) {
    int client = (int)roll(N_CLIENTS);
    uint64_t id = n_jobs > 0 ? 1 + roll(n_jobs) : 0, attempt;
    ModelJob *job = &jobs[id];
    Session *session = sessions[client];
    bool mine, again;
    Op op;

    /* Mostly choose a job in flight. */
    for (int i = 0; i < 50 && job->state != HELD; i++) {
        id = n_jobs > 0 ? 1 + roll(n_jobs) : 0;
        job = &jobs[id];
    }
    if (job->state == HELD && roll(10) > 0) {
        client = job->client;
        session = sessions[client];
    }
    if (!session || job->state == NONE)
        return;
    attempt = roll(20) == 0 ? job->attempt + 1 : job->attempt;
    mine = job->client == client && attempt == job->attempt && attempt > 0 &&
           (job->state == HELD || job->state == LOST || job->state == READY);
    take_all();
    last_id += 2;
    op = (Op[]){OP_ACK, OP_ACK, OP_ACK, OP_RETRY, OP_RELEASE, OP_REJECT}[roll(6)];
    again = was_settled((Settlement){client, id, attempt, op});
    if (mine)
        settlements[n_settlements++] = (Settlement){client, id, attempt, op};
    switch (op) {
    case OP_ACK:
        if (mine)
            job->state = DONE;
        ack(session, last_id, id, attempt);
        break;
    case OP_RETRY:
        if (mine && attempt >= MAX_ATTEMPTS) {
            job->state = DEAD;
        } else if (mine) {
            job->state = DELAYED;
            job->until_ms = broker.now_ms + 20;
            job->n_lost = 0;
        }
        retry(session, last_id, id, attempt, 20, "again");
        break;
    case OP_RELEASE:
        if (mine) {
            job->state = READY;
            job->attempt--;
        }
        release(session, last_id, id, attempt);
        break;
    default:
        if (mine)
            job->state = DEAD;
        reject(session, last_id, id, attempt, "no");
        break;
    }
    if (mine)
        job->client = -1;
    answer_id = last_id;
    answer_op = OP_FAULT;
    take_all();
    check(answer_op == (mine || again ? OP_OK : OP_ERROR), "the answer is wrong", id);
}

static void do_one(void) {
    int client = (int)roll(N_CLIENTS), queue = (int)roll(N_QUEUES);

    switch (roll(20)) {
    case 0:
    case 1:
    case 2:
    case 3:
    case 4:
    case 5:
        do_push();
        break;
    case 6:
        /* With every other seed, workers are lost before they settle many jobs. */
        if (sessions[client])
            do_disconnect(client);
        else
            do_connect(client);
        break;
    case 7:
        if (!sessions[client])
            do_connect(client);
        break;
    case 10:
    case 11:
    case 12:
        if (seed % 2 == 0)
            do_settle();
        else if (sessions[client] && roll(3) == 0)
            do_disconnect(client);
        break;
    case 8:
        if (roll(4) == 0 &&
            queues_pause(queues, span_text(names[queue]), !paused[queue], NULL, 0) == QUEUES_LATER)
            paused[queue] = !paused[queue];
        break;
    case 9:
        for (uint64_t ms = roll(seed % 2 ? 400 : 100); ms > 0; ms--) {
            fake_advance(&broker, 1);
            queues_run_timers(queues);
            tick();
            rooms_turn_end(&broker);
            take_all();
        }
        break;
    default:
        do_settle();
        break;
    }
    rooms_turn_end(&broker);
    take_all();
}

/* The last worker does all remaining jobs: no job may be missing. */
static void drain(void) {
    uint64_t n_left = 0;

    for (int client = 0; client < N_CLIENTS; client++)
        if (sessions[client]) {
            do_disconnect(client);
            take_all(); /* the returned job may be in flight to the next worker */
        }
    for (int queue = 0; queue < N_QUEUES; queue++) {
        queues_pause(queues, span_text(names[queue]), false, NULL, 0);
        paused[queue] = false;
    }
    do_connect(0);
    for (int ms = 0; ms < 5000; ms++) {
        fake_advance(&broker, 1);
        queues_run_timers(queues);
        tick();
        rooms_turn_end(&broker);
        take_all();
        for (uint64_t id = 1; id <= n_jobs; id++)
            if (jobs[id].state == HELD) {
                jobs[id].state = DONE;
                ack(sessions[0], 0, id, jobs[id].attempt);
                take_all();
            }
    }
    for (uint64_t id = 1; id <= n_jobs; id++)
        n_left += jobs[id].state != NONE && jobs[id].state != DONE && jobs[id].state != DEAD;
    check(n_left == 0, "jobs were lost", n_left);
    compare();
}

static void run_seed(uint64_t with) {
    seed = with;
    state = with * 0x9E3779B97F4A7C15u | 1;
    memset(jobs, 0, sizeof(jobs));
    memset(sessions, 0, sizeof(sessions));
    memset(last_first, 0, sizeof(last_first));
    memset(paused, 0, sizeof(paused));
    n_jobs = 0;
    n_settlements = 0;
    setup();
    configure("*", "max_attempts", "6");
    configure("*", "retry", "0"); /* without the pause after a loss: test-order.c has it */
    do_connect(0);
    for (int i = 0; i < N_OPS && n_problems == 0; i++) {
        do_one();
        if (i % 8 == 0)
            compare();
    }
    if (n_problems == 0)
        drain();
    teardown();
}

static void the_router_agrees_with_the_model(void) {
    const char *one = getenv("FERRY_TEST_SEED"), *many = getenv("FERRY_TEST_SEEDS");
    uint64_t n = many ? strtoull(many, NULL, 10) : 20;

    if (one) {
        run_seed(strtoull(one, NULL, 10));
    } else {
        for (uint64_t i = 1; i <= n && n_problems == 0; i++)
            run_seed(i);
    }
    CU_ASSERT_EQUAL(n_problems, 0);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(the_router_agrees_with_the_model),
        TESTS_END,
    };

    return run_suite("broker queues against a model", tests);
}
