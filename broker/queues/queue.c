/* The table of queues, and their life. See queue.h; core.h says what is in which file. */

#include <stdarg.h>
#include <stdio.h>
#include <utlist.h>

#include "broker/queues/core.h"
#include "rpc/wire/name.h"

void problem_set(Problem *problem, const char *type, const char *format, ...) {
    va_list args;

    problem->type = type;
    va_start(args, format);
    vsnprintf(problem->text, sizeof(problem->text), format, args);
    va_end(args);
}

/* ---- the table ---- */

Queue *queue_find(Queues *queues, Span name) {
    Queue *queue = queues->last;

    if (queue && queue->stored.name_len == name.len &&
        memcmp(queue->name, name.data, name.len) == 0)
        return queue;
    HASH_FIND(hh, queues->table, name.data, name.len, queue);
    if (queue)
        queues->last = queue;
    return queue;
}

static bool ends_in_dead(Span name) {
    return name.len > 5 && memcmp(name.data + name.len - 5, ".dead", 5) == 0;
}

static Queue *queue_new(Queues *queues, Span name) {
    Queue *queue = calloc(1, sizeof(*queue) + name.len + 1);

    if (!queue)
        return NULL;
    queue->queues = queues;
    memcpy(queue->name, name.data, name.len);
    queue->stored = (StoredQueue){.name = queue->name, .name_len = name.len};
    queue->is_dead = ends_in_dead(name);
    queue_configure(queue);
    HASH_ADD_KEYPTR(hh, queues->table, queue->name, queue->stored.name_len, queue);
    if (!hash_added(queue)) {
        free(queue);
        return NULL;
    }
    queues->last = queue;
    return queue;
}

Queue *queue_get(Queues *queues, Span name, Problem *problem) {
    Queue *queue = name.len > 0 ? queue_find(queues, name) : NULL;

    if (queue)
        return queue;
    if (!name_is_valid(name.data, name.len)) {
        problem_set(problem, "ferry.InvalidArgument", "queue '%s': %s", shown(name),
                    name_problem(name.data, name.len));
        return NULL;
    }
    if (name.len > QUEUE_NAME_MAX && !ends_in_dead(name)) {
        problem_set(problem, "ferry.InvalidArgument",
                    "the name of a queue may have %d bytes: '.dead' must fit behind it",
                    QUEUE_NAME_MAX);
        return NULL;
    }
    if (name.len >= 6 && memcmp(name.data, "ferry.", 6) == 0) {
        problem_set(problem, "ferry.PermissionDenied",
                    "names that begin with 'ferry.' belong to the broker");
        return NULL;
    }
    if (HASH_COUNT(queues->table) >= queues->broker->limits.max_names) {
        problem_set(problem, "ferry.Full", "the broker has %u queues, its limit",
                    HASH_COUNT(queues->table));
        return NULL;
    }
    queue = queue_new(queues, name);
    if (!queue)
        problem_set(problem, "ferry.OutOfMemory", "the broker is out of memory");
    return queue;
}

/* Past max_names, if need be: there is one at most for each other queue. */
Queue *queue_dead_of(Queue *queue) {
    uint8_t name[NAME_MAX_LEN + 1];
    Span span = {name, queue->stored.name_len + 5};
    Queue *dead;

    memcpy(name, queue->name, queue->stored.name_len);
    memcpy(name + queue->stored.name_len, ".dead", 5);
    dead = queue_find(queue->queues, span);
    return dead ? dead : queue_new(queue->queues, span);
}

static void queue_free(Queue *queue) {
    Queues *queues = queue->queues;

    keys_free(queue);
    queue_leaves_lists(queue);
    timer_disarm(&queues->broker->timers, &queue->idle);
    for (Queue **link = &queues->touched; queue->touched && *link; link = &(*link)->next_touched)
        if (*link == queue) {
            *link = queue->next_touched;
            break;
        }
    if (queues->last == queue)
        queues->last = NULL;
    HASH_DEL(queues->table, queue);
    free(queue);
}

/* ---- queues that nobody uses ---- */

static bool is_idle(const Queue *queue) {
    return queue->n_jobs == 0 && queue->n_pulls == 0 && queue->n_keys == 0 && !queue->paused &&
           queue->n_sweeps == 0 && !queue->settings.named;
}

static void on_idle(Timer *timer, void *ctx) {
    Queue *queue = (Queue *)((uint8_t *)timer - offsetof(Queue, idle));

    (void)ctx;
    if (!is_idle(queue))
        return;
    store_queue_gone(queue->settings.store, &queue->stored);
    queue_free(queue);
}

void queue_maybe_idle(Queue *queue) {
    Broker *broker = queue->queues->broker;

    if (is_idle(queue) && !timer_armed(&queue->idle))
        timer_arm(&broker->timers, &queue->idle, broker->now_ms + QUEUE_IDLE_MS, on_idle);
}

/* ---- turns ---- */

void queues_run_timers(Queues *queues) {
    timers_run_some(&queues->timers, queues->broker->now_ms, QUEUE_SLICE, NULL);
}

uint64_t queues_next_ms(const Queues *queues) {
    return timers_next(&queues->timers);
}

void queue_touch(Queue *queue) {
    if (queue->touched)
        return;
    queue->touched = true;
    queue->next_touched = queue->queues->touched;
    queue->queues->touched = queue;
}

void queues_dispatch_touched(Queues *queues) {
    Queue *queue = queues->touched;

    /* What is touched from here on is for the next turn. */
    queues->touched = NULL;
    while (queue) {
        Queue *next = queue->next_touched;

        queue->touched = false;
        queue_dispatch(queue);
        queue = next;
    }
}

void queues_turn_end(Queues *queues) {
    sweeps_go_on(queues);
    lists_go_on(queues);
    queues_dispatch_touched(queues);
    if (queues->blocked.first)
        pulls_unblock(queues);
}

/* ---- all of them ---- */

size_t queues_n_held(const Queues *queues) {
    size_t n = 0;

    for (const Holder *holder = queues->holders; holder; holder = holder->next)
        for (const Job *job = holder->jobs.first; job; job = job->next)
            n += job->session != NULL;
    return n;
}

size_t queues_n_fleeting(const Queues *queues) {
    size_t n = 0;

    for (const Queue *queue = queues->table; queue; queue = queue->hh.next)
        n += queue->settings.store == &store_memory ? queue->n_jobs : 0;
    return n;
}

int queues_new(Queues **ret, Broker *broker) {
    Queues *queues = calloc(1, sizeof(*queues));

    if (!queues)
        return -ENOMEM;
    queues->broker = broker;
    timers_init(&queues->timers, broker->now_ms);
    queues->job.op = OP_JOB;
    pool_init(&queues->pool, &broker->stored_bytes);
    queues->stores[queues->n_stores++] = &store_memory;
    *ret = queues;
    return 0;
}

static void free_jobs(JobList *list) {
    while (list->first) {
        Job *job = list->first;

        jobs_remove(list, job);
        job_free(job);
    }
}

static void free_queue_with_jobs(Queue *queue) {
    for (int i = 0; i < PRIORITIES; i++)
        free_jobs(&queue->ready[i]);
    free_jobs(&queue->suspects);
    free_jobs(&queue->delayed);
    queue_free(queue);
}

Queues *queues_free(Queues *queues) {
    Queue *queue, *next;

    if (!queues)
        return NULL;
    for (Session *session = queues->broker->sessions; session; session = session->next)
        queues_session_gone(queues, session);
    while (queues->holders) {
        Holder *holder = queues->holders;

        if (holder->client)
            holder->client->pushes = push_ledger_free(holder->client->pushes);
        free_jobs(&holder->jobs);
        free_jobs(&holder->lost);
        holder_free(holder);
    }
    for (Client *client = queues->broker->clients; client; client = client->hh.next)
        client->pushes = push_ledger_free(client->pushes);
    sweeps_free(queues);
    lists_free(queues);
    pendings_free(queues);
    HASH_ITER(hh, queues->table, queue, next) {
        free_queue_with_jobs(queue);
    }
    rules_free(queues);
    id_map_deinit(&queues->leased);
    buffer_deinit(&queues->scratch);
    pool_deinit(&queues->pool);
    free(queues);
    return NULL;
}
