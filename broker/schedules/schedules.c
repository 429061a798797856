/* SPDX-License-Identifier: Apache-2.0 */
/* Recurring jobs. See schedules.h. */

#include "broker/schedules/schedules.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/container.h"
#include "base/hash.h"
#include "base/log.h"
#include "broker/schedules/cron.h"
#include "broker/sessions/user.h"
#include "rpc/wire/name.h"
#include "rpc/wire/reader.h"
#include "rpc/wire/writer.h"

/* The fact "schedule NAME" is a schedule, and the fact "schedule-last NAME" its last moment. */
static const char fact_prefix[] = "schedule";
static const char of_schedule[] = "schedule ", of_last[] = "schedule-last ";

enum {
    LOOK_MS = 10000, /* look at the wall clock at least this often: it may be set to another time */
    RETRY_MS = 1000, /* time to the next try after a refused push */
    SLICE = 100,     /* jobs that one turn pushes */
    PROBLEM_MAX = 300,
};

static const char *const missed_names[] = {"once", "skip", "all"};

typedef struct Schedule {
    UT_hash_handle hh; /* uthash by shard and name, as facts */
    Schedules *schedules;
    ScheduleParts parts; /* texts and body, which are in `bytes` */
    Cron cron;
    Zone *zone;
    Missed missed;
    uint64_t last_ms;          /* the last moment that has its job, or that was skipped */
    uint64_t kept_ms;          /* the last moment that the store has as a fact */
    uint64_t next_ms;          /* 0: no moment */
    uint64_t moment_ms;        /* the moment of the push that the store has not finished; 0: no
                                * push */
    uint64_t retry_ms;         /* when a refused push is tried again; 0: the last push was stored */
    uint64_t n_runs;           /* jobs pushed since this broker started */
    bool is_checked;           /* the store was searched for a push whose moment an earlier broker
                                * has not kept */
    char problem[PROBLEM_MAX]; /* why the last push was refused; empty: it was stored */
    uint8_t bytes[];           /* shard and name come first */
} Schedule;

struct Schedules {
    Broker *broker;
    Schedule *table; /* uthash */
    Timer timer;
    void (*on_change)(unsigned shard, void *ctx); /* NULL */
    void *ctx;
};

static Schedule *find_in(const Schedules *schedules, unsigned shard, Span name) {
    uint8_t key[1 + SCHEDULE_NAME_MAX];
    Schedule *schedule;

    if (name.len > SCHEDULE_NAME_MAX)
        return NULL;
    key[0] = (uint8_t)shard;
    memcpy(key + 1, name.data, name.len);
    HASH_FIND(hh, schedules->table, key, 1 + name.len, schedule);
    return schedule;
}

/* The schedule of this name in any shard. Two of them may have one name, if they were added at two
 * brokers. */
static Schedule *find(const Schedules *schedules, Span name) {
    Schedule *schedule = schedules->table;

    while (schedule && !(schedule->parts.name.len == name.len &&
                         memcmp(schedule->parts.name.data, name.data, name.len) == 0))
        schedule = schedule->hh.next;
    return schedule;
}

/* ---- moments ---- */

/* The first moment after ms; 0: there is no further moment. */
static uint64_t moment_after(const Schedule *schedule, uint64_t ms) {
    uint64_t every_ms = schedule->parts.every_ms, since_ms = schedule->parts.since_ms;

    if (ms < since_ms)
        ms = since_ms;
    if (schedule->parts.cron.len > 0)
        return (uint64_t)cron_next(&schedule->cron, schedule->zone, (int64_t)(ms / 1000)) * 1000;
    return ms + every_ms - (ms - since_ms) % every_ms;
}

/* The last moment up to now_ms; first_ms is an earlier moment. An outage of a year has half a
 * million minutes, so the search begins near now_ms. */
static uint64_t last_moment(const Schedule *schedule, uint64_t first_ms, uint64_t now_ms) {
    uint64_t found = first_ms, next;

    for (uint64_t back_ms = SCHEDULE_LATE_MS; back_ms < now_ms - first_ms; back_ms *= 2) {
        next = moment_after(schedule, now_ms - back_ms);
        if (next && next <= now_ms) {
            found = next;
            break;
        }
    }
    while ((next = moment_after(schedule, found)) && next <= now_ms)
        found = next;
    return found;
}

/* ---- the table ---- */

static void set_last(Schedule *schedule, uint64_t last_ms) {
    schedule->last_ms = last_ms;
    schedule->next_ms = moment_after(schedule, last_ms);
}

static void on_timer(Timer *timer, void *ctx) {
    Schedules *schedules = container_of(timer, Schedules, timer);
    uint64_t wall_ms = clock_wall_ms(), next_ms = schedules_look(schedules, wall_ms);
    Broker *broker = schedules->broker;

    (void)ctx;
    if (next_ms == UINT64_MAX)
        return;
    if (next_ms < wall_ms)
        next_ms = wall_ms;
    if (next_ms > wall_ms + LOOK_MS)
        next_ms = wall_ms + LOOK_MS;
    timer_arm(&broker->timers, timer, broker->now_ms + (next_ms - wall_ms), on_timer);
}

static void look_soon(Schedules *schedules) {
    timer_arm(&schedules->broker->timers, &schedules->timer, schedules->broker->now_ms, on_timer);
}

static void schedule_free(Schedule *schedule) {
    Schedules *schedules = schedule->schedules;

    queues_push_own_forget(schedules->broker->queues, schedule);
    HASH_DEL(schedules->table, schedule);
    zone_free(schedule->zone);
    free(schedule);
}

size_t schedule_parts_size(const ScheduleParts *parts) {
    return parts->name.len + parts->queue.len + parts->cron.len + parts->zone.len +
           parts->missed.len + parts->body.len;
}

static Span put(uint8_t **at, Span text) {
    Span copy = {*at, text.len};

    if (text.len > 0)
        memcpy(*at, text.data, text.len);
    *at += text.len;
    return copy;
}

ScheduleParts schedule_parts_copy(const ScheduleParts *parts, uint8_t *to) {
    return (ScheduleParts){.name = put(&to, parts->name),
                           .queue = put(&to, parts->queue),
                           .cron = put(&to, parts->cron),
                           .zone = put(&to, parts->zone),
                           .missed = put(&to, parts->missed),
                           .body = put(&to, parts->body),
                           .every_ms = parts->every_ms,
                           .since_ms = parts->since_ms};
}

static int refuse(ferry_error *reterr, const char *problem) {
    return error_set(reterr, "ferry.InvalidArgument", "%s", problem);
}

/* Reads the cron line, the time zone and the rule for missed moments. */
static int interpret(Schedule *schedule, ferry_error *reterr) {
    const ScheduleParts *parts = &schedule->parts;
    char problem[CRON_PROBLEM_MAX + ZONE_PROBLEM_MAX], zone[ZONE_NAME_MAX + 2];
    int r;

    for (size_t i = 0; i < 3; i++)
        if (span_is(parts->missed, missed_names[i]))
            schedule->missed = (Missed)i;
    if (parts->missed.len > 0 && !span_is(parts->missed, missed_names[schedule->missed]))
        return refuse(reterr, "the rule for missed moments must be 'once', 'skip' or 'all'");
    if ((parts->cron.len > 0) == (parts->every_ms > 0))
        return refuse(reterr, "a schedule needs either a cron line or an interval, not both");
    if (parts->every_ms > 0 && parts->every_ms < SCHEDULE_EVERY_MIN_MS)
        return refuse(reterr, "the interval must be at least one second");
    if (parts->every_ms > UINT64_C(3650) * 86400 * 1000)
        return refuse(reterr, "the interval must be at most ten years");
    if (parts->cron.len == 0)
        return parts->zone.len > 0
                   ? refuse(reterr,
                            "a time zone is possible with a cron line only, not with an interval")
                   : 0;
    if (cron_parse((const char *)parts->cron.data, parts->cron.len, &schedule->cron, problem) < 0)
        return refuse(reterr, problem);
    snprintf(zone, sizeof(zone), "%.*s", (int)parts->zone.len, (const char *)parts->zone.data);
    r = zone_open(zone, &schedule->zone, problem);
    return r == -EINVAL ? refuse(reterr, problem) : r;
}

static int schedule_new(Schedules *schedules, unsigned shard, const ScheduleParts *parts,
                        Schedule **ret, ferry_error *reterr) {
    Schedule *schedule = calloc(1, sizeof(*schedule) + 1 + schedule_parts_size(parts));
    int r;

    if (!schedule)
        return -ENOMEM;
    schedule->bytes[0] = (uint8_t)shard;
    schedule->schedules = schedules;
    schedule->parts = schedule_parts_copy(parts, schedule->bytes + 1);
    r = interpret(schedule, reterr);
    if (r < 0) {
        zone_free(schedule->zone);
        free(schedule);
        return r;
    }
    *ret = schedule;
    return 0;
}

/* ---- facts ---- */

static void write_parts(Buffer *to, const ScheduleParts *parts) {
    write_map(to, 7);
    write_text(to, "queue");
    write_str(to, parts->queue.data, parts->queue.len);
    write_text(to, "cron");
    write_str(to, parts->cron.data, parts->cron.len);
    write_pair(to, "every", parts->every_ms);
    write_text(to, "zone");
    write_str(to, parts->zone.data, parts->zone.len);
    write_text(to, "missed");
    write_str(to, parts->missed.data, parts->missed.len);
    write_pair(to, "since", parts->since_ms);
    write_text(to, "body");
    write_bin(to, parts->body.data, parts->body.len);
}

/* False: the value does not have the form that write_parts() gives it. */
static bool read_parts(Span value, ScheduleParts *to) {
    uint32_t left;
    Reader pairs = pairs_of(value, &left);
    Span key;

    while (pairs_next(&pairs, &left, &key)) {
        if (span_is(key, "queue"))
            to->queue = reader_str(&pairs);
        else if (span_is(key, "cron"))
            to->cron = reader_str(&pairs);
        else if (span_is(key, "every"))
            to->every_ms = reader_uint(&pairs);
        else if (span_is(key, "zone"))
            to->zone = reader_str(&pairs);
        else if (span_is(key, "missed"))
            to->missed = reader_str(&pairs);
        else if (span_is(key, "since"))
            to->since_ms = reader_uint(&pairs);
        else if (span_is(key, "body"))
            to->body = reader_bin(&pairs);
        else
            reader_value(&pairs);
    }
    return !pairs.problem;
}

static Span name_of_fact(Buffer *to, const char *prefix, Span name) {
    buffer_append(to, prefix, strlen(prefix));
    buffer_append(to, name.data, name.len);
    return span_of(to->data, to->len);
}

static int keep(Schedules *schedules, const char *prefix, const ScheduleParts *of, Span value,
                Session *session, uint64_t id) {
    CLEANUP(buffer_deinit) Buffer fact = {0};

    name_of_fact(&fact, prefix, of->name);
    if (fact.failed)
        return -ENOMEM;
    return queues_keep_fact(schedules->broker->queues, of->queue, span_of(fact.data, fact.len),
                            value, session, id);
}

static uint64_t number_of(Span text) {
    uint64_t number = 0;

    for (size_t i = 0; i < text.len && text.data[i] >= '0' && text.data[i] <= '9'; i++)
        number = number * 10 + (text.data[i] - '0');
    return number;
}

static void take_last(Schedule *schedule, Span value) {
    schedule->kept_ms = number_of(value);
    if (schedule->kept_ms > schedule->last_ms)
        set_last(schedule, schedule->kept_ms);
}

/* A fact says that a schedule is added, restored or removed. */
static void on_schedule(Schedules *schedules, unsigned shard, Span name, Span value) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    CLEANUP(buffer_deinit) Buffer fact = {0};
    ScheduleParts parts = {.name = name};
    Schedule *schedule = NULL, *before = find_in(schedules, shard, name);
    int r = 0;

    /* The fact of a damaged store may have any name and any value. */
    if (value.len > 0)
        r = name.len <= SCHEDULE_NAME_MAX && read_parts(value, &parts)
                ? schedule_new(schedules, shard, &parts, &schedule, &error)
                : -EBADMSG;
    if (r < 0)
        log_error("a schedule cannot be used, and pushes no jobs: schedule='%s' problem='%s'",
                  shown(name), error.message ? error.message : strerror(-r));
    if (before)
        schedule_free(before);
    if (!schedule)
        return;
    HASH_ADD_KEYPTR(hh, schedules->table, schedule->bytes, 1 + name.len, schedule);
    if (!hash_added(schedule)) {
        zone_free(schedule->zone);
        free(schedule);
        log_error("out of memory, a schedule pushes no jobs: schedule='%s'", shown(name));
        return;
    }
    set_last(schedule, schedule->parts.since_ms);
    name_of_fact(&fact, of_last, name);
    if (!fact.failed)
        take_last(schedule, queues_fact_of(schedules->broker->queues, parts.queue,
                                           span_of(fact.data, fact.len)));
    look_soon(schedules);
}

static bool begins_with(Span name, const char *prefix, Span *ret_rest) {
    size_t len = strlen(prefix);

    if (name.len < len || memcmp(name.data, prefix, len) != 0)
        return false;
    *ret_rest = (Span){name.data + len, name.len - len};
    return true;
}

static void on_fact(Span name, Span value, unsigned shard, void *ctx) {
    Schedules *schedules = ctx;
    Schedule *schedule;
    Span rest;

    if (begins_with(name, of_schedule, &rest)) {
        on_schedule(schedules, shard, rest, value);
        if (schedules->on_change)
            schedules->on_change(shard, schedules->ctx);
    } else if (begins_with(name, of_last, &rest)) {
        schedule = find_in(schedules, shard, rest);
        if (schedule && value.len > 0)
            take_last(schedule, value);
    }
}

/* ---- pushing ---- */

/* The origin of the schedule's pushes: a hash of its name, its begin, and the last moment that the
 * store has. */
static void origin_of(const Schedule *schedule, uint8_t origin[WIRE_TOKEN]) {
    uint8_t bytes[SCHEDULE_NAME_MAX + 16];
    XXH128_hash_t hash;
    size_t len = schedule->parts.name.len;

    memcpy(bytes, &schedule->kept_ms, 8);
    memcpy(bytes + 8, &schedule->parts.since_ms, 8);
    memcpy(bytes + 16, schedule->parts.name.data, len);
    hash = XXH3_128bits(bytes, 16 + len);
    memcpy(origin, &hash, sizeof(hash));
}

/* If this fails, kept_ms stays the same: later pushes have the same origin, and a restart finds the
 * last one. */
static void keep_last(const Schedule *schedule) {
    char text[24];
    size_t len = (size_t)snprintf(text, sizeof(text), "%" PRIu64, schedule->last_ms);

    keep(schedule->schedules, of_last, &schedule->parts, span_of(text, len), NULL, 0);
}

static void refused(Schedule *schedule, const char *problem) {
    if (strcmp(problem, schedule->problem) != 0)
        log_warning("a schedule cannot push its job, trying again: schedule='%s' queue='%s' "
                    "problem='%s'",
                    shown(schedule->parts.name), shown(schedule->parts.queue), problem);
    snprintf(schedule->problem, sizeof(schedule->problem), "%s", problem);
    schedule->moment_ms = 0;
}

static void pushed(Schedule *schedule) {
    set_last(schedule, schedule->moment_ms);
    schedule->moment_ms = schedule->retry_ms = 0;
    schedule->problem[0] = '\0';
    schedule->n_runs++;
    keep_last(schedule);
}

static void on_stored(int result, void *ctx) {
    Schedule *schedule = ctx;

    if (result < 0)
        refused(schedule, strerror(-result));
    else
        pushed(schedule);
    look_soon(schedule->schedules);
}

/* Writes a moment as "2026-11-30T06:00:00Z". */
static void write_moment(Buffer *to, uint64_t ms) {
    Civil day = civil_of_day((int64_t)(ms / 86400000));
    unsigned s = (unsigned)(ms / 1000 % 86400);
    char text[40];

    snprintf(text, sizeof(text), "%04d-%02u-%02uT%02u:%02u:%02uZ", (int)day.year, day.month,
             day.day, s / 3600, s / 60 % 60, s % 60);
    write_text(to, text);
}

static void push(Schedule *schedule, uint64_t moment_ms) {
    CLEANUP(buffer_deinit) Buffer headers = {0};
    const ScheduleParts *parts = &schedule->parts;
    Problem problem = {.text = "the broker is out of memory"};
    uint8_t origin[WIRE_TOKEN];
    int r = -ENOMEM;

    origin_of(schedule, origin);
    write_map(&headers, 2);
    write_text(&headers, "ferry-schedule");
    write_str(&headers, parts->name.data, parts->name.len);
    write_text(&headers, "ferry-moment");
    write_moment(&headers, moment_ms);
    schedule->moment_ms = moment_ms;
    if (!headers.failed)
        r = queues_push_own(schedule->schedules->broker->queues,
                            &(Message){.op = OP_JOB,
                                       .id = moment_ms,
                                       .name = parts->queue,
                                       .headers = span_of(headers.data, headers.len),
                                       .body = parts->body},
                            origin, on_stored, schedule, &problem);
    if (r < 0)
        refused(schedule, problem.text);
    else if (r == 0)
        pushed(schedule);
}

/* After a restart: the store may have a job whose moment an earlier broker has not kept. */
static void check_pushes(Schedule *schedule) {
    uint8_t origin[WIRE_TOKEN];
    uint64_t last_ms;

    schedule->is_checked = true;
    origin_of(schedule, origin);
    last_ms = queues_last_of_origin(schedule->schedules->broker->queues, origin);
    if (last_ms <= schedule->last_ms)
        return;
    set_last(schedule, last_ms);
    keep_last(schedule);
}

/* True: it has pushed a job, or skipped moments. */
static bool run(Schedule *schedule, uint64_t now_ms) {
    uint64_t moment_ms;

    if (!schedule->is_checked)
        check_pushes(schedule);
    moment_ms = schedule->next_ms;
    if (!moment_ms || moment_ms > now_ms || schedule->moment_ms || schedule->retry_ms > now_ms)
        return false;
    if (schedule->missed != MISSED_ALL)
        moment_ms = last_moment(schedule, moment_ms, now_ms);
    if (schedule->missed == MISSED_SKIP && now_ms - moment_ms > SCHEDULE_LATE_MS) {
        set_last(schedule, moment_ms);
        keep_last(schedule);
        return true;
    }
    schedule->retry_ms = now_ms + RETRY_MS;
    push(schedule, moment_ms);
    return true;
}

/* The time of the next look at the schedule; UINT64_MAX: it waits for the store, or has no further
 * moment. */
static uint64_t next_look(const Schedule *schedule) {
    if (schedule->moment_ms || !schedule->next_ms)
        return UINT64_MAX;
    return schedule->next_ms > schedule->retry_ms ? schedule->next_ms : schedule->retry_ms;
}

uint64_t schedules_look(Schedules *schedules, uint64_t wall_ms) {
    uint64_t next_ms = schedules->table ? wall_ms + LOOK_MS : UINT64_MAX;
    unsigned n = 0;
    Schedule *schedule, *next;

    if (schedules->broker->draining)
        return next_ms;
    HASH_ITER(hh, schedules->table, schedule, next) {
        while (n < SLICE && run(schedule, wall_ms))
            n++;
        if (next_look(schedule) < next_ms)
            next_ms = next_look(schedule);
    }
    return next_ms;
}

/* ---- commands ---- */

static int check(const Schedules *schedules, const ScheduleParts *parts, ferry_error *reterr) {
    if (!name_is_valid(parts->name.data, parts->name.len))
        return error_set(reterr, "ferry.InvalidArgument", "the name '%s': %s", shown(parts->name),
                         name_problem(parts->name.data, parts->name.len));
    if (parts->name.len > SCHEDULE_NAME_MAX)
        return error_set(reterr, "ferry.InvalidArgument",
                         "the name of a schedule has at most %d bytes", SCHEDULE_NAME_MAX);
    if (!name_is_valid(parts->queue.data, parts->queue.len))
        return error_set(reterr, "ferry.InvalidArgument", "the queue '%s': %s", shown(parts->queue),
                         name_problem(parts->queue.data, parts->queue.len));
    if (name_is_reserved(parts->queue.data, parts->queue.len))
        return error_set(reterr, "ferry.PermissionDenied",
                         "names that begin with 'ferry.' belong to the broker");
    if (parts->body.len > SCHEDULE_BODY_MAX)
        return error_set(reterr, "ferry.TooBig", "the body of a schedule has at most %d bytes",
                         SCHEDULE_BODY_MAX);
    if (!find(schedules, parts->name) && HASH_COUNT(schedules->table) >= SCHEDULES_MAX)
        return error_set(reterr, "ferry.Full", "the broker already has %d schedules, the maximum",
                         SCHEDULES_MAX);
    return 0;
}

/* A schedule that moves to another shard would be two changes in two stores. */
static int check_shard(const Schedules *schedules, const ScheduleParts *parts, unsigned *ret_shard,
                       ferry_error *reterr) {
    CLEANUP(buffer_deinit) Buffer fact = {0};
    const Schedule *before = find(schedules, parts->name);

    name_of_fact(&fact, of_schedule, parts->name);
    if (fact.failed)
        return -ENOMEM;
    *ret_shard =
        queues_shard_of_fact(schedules->broker->queues, parts->queue, span_of(fact.data, fact.len));
    if (!before || before->bytes[0] == *ret_shard)
        return 0;
    return error_set(reterr, "ferry.AlreadyExists",
                     "the schedule '%s' exists for the queue '%s' in another shard: remove it "
                     "first",
                     shown(parts->name), shown(before->parts.queue));
}

int schedules_check(Schedules *schedules, const ScheduleParts *parts, unsigned *ret_shard,
                    ferry_error *reterr) {
    Schedule *schedule = NULL;
    int r = check(schedules, parts, reterr);

    if (r == 0)
        r = check_shard(schedules, parts, ret_shard, reterr);
    if (r == 0)
        r = schedule_new(schedules, 0, parts, &schedule, reterr);
    if (r < 0)
        return r;
    zone_free(schedule->zone); /* on_fact() makes the schedule that is used */
    free(schedule);
    return 0;
}

int schedules_add(Schedules *schedules, const ScheduleParts *parts, Session *session, uint64_t id,
                  ferry_error *reterr) {
    CLEANUP(buffer_deinit) Buffer value = {0};
    ScheduleParts with = *parts;
    unsigned shard;
    int r = schedules_check(schedules, parts, &shard, reterr);

    if (r < 0)
        return r;
    if (with.since_ms == 0)
        with.since_ms = clock_wall_ms();
    write_parts(&value, &with);
    if (value.failed)
        return -ENOMEM;
    return queues_not_kept(
        keep(schedules, of_schedule, parts, span_of(value.data, value.len), session, id), reterr);
}

int schedules_remove(Schedules *schedules, Span name, Session *session, uint64_t id) {
    CLEANUP(buffer_deinit) Buffer queue = {0};
    const Schedule *schedule = find(schedules, name);
    ScheduleParts of = {.name = name};
    int r;

    if (!schedule)
        return -ENOENT;
    /* The first change frees the schedule. */
    buffer_append(&queue, schedule->parts.queue.data, schedule->parts.queue.len);
    if (queue.failed)
        return -ENOMEM;
    of.queue = span_of(queue.data, queue.len);
    r = keep(schedules, of_schedule, &of, (Span){NULL, 0}, session, id);
    if (r >= 0)
        keep(schedules, of_last, &of, (Span){NULL, 0}, NULL, 0);
    return r;
}

Span schedules_queue_of(const Schedules *schedules, Span name) {
    const Schedule *schedule = find(schedules, name);

    return schedule ? schedule->parts.queue : (Span){NULL, 0};
}

unsigned schedules_shard_of(const Schedules *schedules, Span name) {
    const Schedule *schedule = find(schedules, name);

    return schedule ? schedule->bytes[0] : 0;
}

void schedules_each(const Schedules *schedules, unsigned shard, ScheduleFn fn, void *ctx) {
    for (const Schedule *at = schedules->table; at; at = at->hh.next)
        if (at->bytes[0] == shard)
            fn(&at->parts, ctx);
}

void schedules_watch(Schedules *schedules, void (*fn)(unsigned shard, void *ctx), void *ctx) {
    schedules->on_change = fn;
    schedules->ctx = ctx;
}

static void write_schedule(Buffer *to, const Schedule *schedule) {
    const ScheduleParts *parts = &schedule->parts;

    write_map(to, 11);
    write_text(to, "name");
    write_str(to, parts->name.data, parts->name.len);
    write_text(to, "queue");
    write_str(to, parts->queue.data, parts->queue.len);
    write_text(to, "cron");
    write_str(to, parts->cron.data, parts->cron.len);
    write_pair(to, "every_ms", parts->every_ms);
    write_text(to, "tz");
    write_str(to, parts->zone.len ? (const char *)parts->zone.data : "UTC",
              parts->zone.len ? parts->zone.len : 3);
    write_text(to, "missed");
    write_text(to, missed_names[schedule->missed]);
    write_text(to, "next");
    if (schedule->next_ms)
        write_moment(to, schedule->next_ms);
    else
        write_text(to, "");
    write_text(to, "last");
    if (schedule->last_ms > parts->since_ms)
        write_moment(to, schedule->last_ms);
    else
        write_text(to, "");
    write_pair(to, "runs", schedule->n_runs);
    write_pair(to, "bytes", parts->body.len);
    write_text(to, "problem");
    write_text(to, schedule->problem);
}

void schedules_list(const Schedules *schedules, Session *session, Buffer *to) {
    uint32_t n = 0;

    for (const Schedule *at = schedules->table; at; at = at->hh.next)
        n += session_sees(session, SIGHT_OF_QUEUE, at->parts.queue);
    write_array(to, n);
    for (const Schedule *at = schedules->table; at; at = at->hh.next)
        if (session_sees(session, SIGHT_OF_QUEUE, at->parts.queue))
            write_schedule(to, at);
}

/* ---- new and free ---- */

int schedules_new(Schedules **ret, Broker *broker) {
    Schedules *schedules = calloc(1, sizeof(*schedules));

    if (!schedules)
        return -ENOMEM;
    schedules->broker = broker;
    queues_watch_facts(broker->queues, fact_prefix, on_fact, schedules);
    *ret = schedules;
    return 0;
}

Schedules *schedules_free(Schedules *schedules) {
    Schedule *schedule, *next;

    if (!schedules)
        return NULL;
    timer_disarm(&schedules->broker->timers, &schedules->timer);
    HASH_ITER(hh, schedules->table, schedule, next) {
        schedule_free(schedule);
    }
    free(schedules);
    return NULL;
}
