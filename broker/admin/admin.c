/* SPDX-License-Identifier: Apache-2.0 */

/* ferry.Broker: its methods. See admin.h; ferry-broker.thrift declares arguments and results. */

#include "broker/admin/admin-private.h"

#include <assert.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/log.h"
#include "broker/admin/binds.h"
#include "broker/queues/queues.h"
#include "broker/schedules/schedules.h"
#include "broker/services/services.h"
#include "broker/sessions/user.h"
#include "broker/taps/tap.h"
#include "broker/topics/topics.h"
#include "ferry-broker.h"
#include "rpc/schema/codec/codec.h"
#include "rpc/schema/description/description.h"
#include "rpc/wire/name.h"

/* All arguments are names and numbers. */
enum { BODY_MAX = 64 * 1024 };

/* The name of its only instance. */
#define INSTANCE "broker"

/* All names: the subject of methods without a name. */
static Span all_names(void) {
    return span_text(">");
}

/* ---- sessions ---- */

static size_t count_sessions(const Broker *broker) {
    return broker->n_sessions;
}

static void *first_session(const Broker *broker) {
    return broker->sessions;
}

static void *next_session(const void *element) {
    return ((const Session *)element)->next;
}

/* A user sees its own sessions, and with the right `watch >` all sessions. */
static bool is_session_seen(Session *session, const void *element) {
    return !session || session->user == ((const Session *)element)->user ||
           session_may(session, ACTION_WATCH, all_names());
}

static unsigned write_session(const void *element, const Broker *broker, Buffer *to) {
    const Session *session = element;
    unsigned n_serves = services_of(session);
    char address[CONNECTION_ADDRESS_MAX];

    write_map(to, 16);
    write_pair(to, "session", session->number);
    write_text(to, "name");
    write_text(to, session->name);
    write_pair(to, "age_ms", broker->now_ms - session->since_ms);
    write_pair(to, "serves", n_serves);
    write_pair(to, "subscriptions", session->client->n_subscriptions);
    write_pair(to, "pulls", session->pulls.n);
    write_pair(to, "calls", session->calls.n);
    write_pair(to, "requests", session->requests.n);
    write_pair(to, "waiting", session_waiting(session));
    write_pair(to, "in", session->n_in);
    write_pair(to, "out", session->n_out);
    write_pair(to, "dropped", session->n_dropped);
    write_text(to, "user");
    write_text(to, session->user ? session->user->name : "");
    write_text(to, "address");
    write_text(to, peer_address(session->peer, address));
    write_pair(to, "pid", (uint64_t)session->peer->pid);
    write_pair(to, "memory", session->peer->account.held + session->peer->account.output);
    return n_serves;
}

const ListKind list_of_sessions = {
    .count = count_sessions,
    .first = first_session,
    .next = next_session,
    .is_seen = is_session_seen,
    .write = write_session,
};

/* The call: the session gets the answer to id. */
typedef struct Ask {
    Broker *broker;
    Session *session;
    uint64_t id;
    bool streams; /* the caller reads a stream of items */
} Ask;

/* ---- lists ---- */

static int list(const Ask *ask, const ListKind *kind, Buffer *to, ferry_error *reterr) {
    int r = admin_list(ask->broker, kind, ask->session, ask->id, to);

    if (r == -EBUSY)
        return error_set(reterr, "ferry.Overloaded",
                         "too many lists are under way: try again later");
    return r;
}

static int list_sessions(const Ask *ask, const void *p, Buffer *to, ferry_error *reterr) {
    (void)p;
    return list(ask, &list_of_sessions, to, reterr);
}

static int list_services(const Ask *ask, const void *p, Buffer *to, ferry_error *reterr) {
    (void)p;
    return list(ask, &list_of_services, to, reterr);
}

static int list_topics(const Ask *ask, const void *p, Buffer *to, ferry_error *reterr) {
    (void)p;
    return list(ask, &list_of_topics, to, reterr);
}

static int list_queues(const Ask *ask, const void *p, Buffer *to, ferry_error *reterr) {
    (void)p;
    return list(ask, &list_of_queues, to, reterr);
}

static int stats(const Ask *ask, const void *p, Buffer *to, ferry_error *reterr) {
    const char *degraded = queues_degraded(ask->broker->queues);
    const Stats *s = &ask->broker->stats;
    const struct {
        const char *name;
        uint64_t value;
    } told[] = {
        {"uptime_ms", ask->broker->now_ms - ask->broker->started_ms},
        {"epoch", ask->broker->epoch},
        {"sessions", ask->broker->n_sessions},
        {"connections", hub_n_connections(ask->broker->hub)},
        {"calls_open", services_n_calls(ask->broker->services)},
        {"stored_bytes", broker_stored(ask->broker)},
        {"calls", s->calls},
        {"answers", s->answers},
        {"errors", s->errors},
        {"late_answers", s->late_answers},
        {"published", s->published},
        {"delivered", s->delivered},
        {"dropped", s->dropped},
        {"pushed", s->pushed},
        {"acked", s->acked},
        {"redelivered", s->redelivered},
        {"dead", s->dead},
        {"faults", s->faults},
        {"turns", s->turns},
        {"memory_max", ask->broker->budget.max},
        {"memory_used", budget_used(&ask->broker->budget)},
    };

    (void)p;
    (void)reterr;
    write_map(to, sizeof(told) / sizeof(*told) + N_BUDGET_KINDS + 3 + (degraded != NULL));
    for (size_t i = 0; i < sizeof(told) / sizeof(*told); i++)
        write_pair(to, told[i].name, told[i].value);
    for (BudgetKind kind = 0; kind < N_BUDGET_KINDS; kind++) {
        char name[48];

        snprintf(name, sizeof(name), "memory_%s", budget_kind_name(kind));
        write_pair(to, name, ask->broker->budget.bytes[kind]);
    }
    write_text(to, "durability");
    write_text(to, queues_usual_durability(ask->broker->queues));
    write_text(to, "latencies");
    services_write_latencies(ask->broker->services, to);
    write_text(to, "draining");
    write_bool(to, ask->broker->draining);
    if (degraded) {
        write_text(to, "degraded");
        write_text(to, degraded);
    }
    return 0;
}

/* ---- one service ---- */

static int no_service(int r, const char *name, ferry_error *reterr) {
    if (r != -ENOENT)
        return r;
    return error_set(reterr, "ferry.NotFound", "there is no service '%s'", shown(span_text(name)));
}

static int describe_myself(Buffer *to) {
    CLEANUP(buffer_deinit) Buffer description = {0};
    int r = description_write(&ferry_service_ferry_broker, &description);

    if (r < 0)
        return r;
    write_map(to, 4);
    write_text(to, "name");
    write_text(to, ferry_service_ferry_broker.name);
    write_text(to, "instances");
    write_array(to, 1);
    write_map(to, 6);
    write_text(to, "instance");
    write_text(to, INSTANCE);
    write_pair(to, "session", 0);
    write_text(to, "client");
    write_text(to, "ferry broker");
    write_pair(to, "slots", 1);
    write_pair(to, "busy", 0);
    write_text(to, "ejected");
    write_bool(to, false);
    write_text(to, "differs");
    write_bool(to, false);
    write_text(to, "description");
    write_bin(to, description.data, description.len);
    return 0;
}

static int describe(const Ask *ask, const void *p, Buffer *to, ferry_error *reterr) {
    const ferry_broker_describe_args *args = p;

    if (strcmp(args->service, ferry_service_ferry_broker.name) == 0)
        return describe_myself(to);
    return no_service(services_describe(ask->broker->services, span_text(args->service),
                                        span_text(args->instance ? args->instance : ""), to),
                      args->service, reterr);
}

static int list_methods(const Ask *ask, const void *p, Buffer *to, ferry_error *reterr) {
    const ferry_broker_methods_args *args = p;

    if (strcmp(args->service, ferry_service_ferry_broker.name) == 0) {
        methods_write(services_own(ask->broker->services), to);
        return 0;
    }
    return no_service(services_stats(ask->broker->services, span_text(args->service), to),
                      args->service, reterr);
}

/* ---- one queue ---- */

static int no_queue(int r, const char *name, ferry_error *reterr) {
    if (r != -ENOENT)
        return r;
    return error_set(reterr, "ferry.NotFound", "there is no queue '%s'", shown(span_text(name)));
}

static int too_busy(int r, ferry_error *reterr) {
    if (r != -EBUSY)
        return r;
    return error_set(reterr, "ferry.Overloaded",
                     "too many queues are being purged or moved: try again later");
}

static int check_limit(int64_t limit, ferry_error *reterr) {
    if (limit >= 0)
        return 0;
    return error_set(reterr, "ferry.InvalidArgument", "args.limit: cannot be negative");
}

static int show_queue(const Ask *ask, const void *p, Buffer *to, ferry_error *reterr) {
    const ferry_broker_queue_args *args = p;

    return no_queue(queues_show(ask->broker->queues, span_text(args->queue), to), args->queue,
                    reterr);
}

static int peek(const Ask *ask, const void *p, Buffer *to, ferry_error *reterr) {
    const ferry_broker_peek_args *args = p;
    int r = check_limit(args->limit, reterr);

    if (r == 0)
        r = queues_peek(ask->broker->queues, span_text(args->queue), (uint64_t)args->limit, to);
    return no_queue(r, args->queue, reterr);
}

static int purge(const Ask *ask, const void *p, Buffer *to, ferry_error *reterr) {
    const ferry_broker_purge_args *args = p;
    uint64_t n = 0;
    int r = queues_purge(ask->broker->queues, span_text(args->queue), ask->session, ask->id, &n);

    write_uint(to, n);
    return too_busy(no_queue(r, args->queue, reterr), reterr);
}

static int pause_queue(const Ask *ask, const void *p, Buffer *to, ferry_error *reterr) {
    const ferry_broker_pause_args *args = p;

    write_nil(to);
    return no_queue(queues_pause(ask->broker->queues, span_text(args->queue), true), args->queue,
                    reterr);
}

static int resume_queue(const Ask *ask, const void *p, Buffer *to, ferry_error *reterr) {
    const ferry_broker_resume_args *args = p;

    write_nil(to);
    return no_queue(queues_pause(ask->broker->queues, span_text(args->queue), false), args->queue,
                    reterr);
}

static int no_room_in(int r, const char *queue, ferry_error *reterr) {
    if (r == -EINVAL)
        return error_set(reterr, "ferry.InvalidArgument",
                         "args.to: '%s' is the same queue, or not a valid name",
                         shown(span_text(queue)));
    if (r == -ENOSPC)
        return error_set(reterr, "ferry.Full", "the queue '%s' has no room",
                         shown(span_text(queue)));
    if (r == -EAGAIN)
        return error_set(reterr, "ferry.Overloaded",
                         "the job is being read from the disk: try again");
    return r;
}

static int move(const Ask *ask, const void *p, Buffer *to, ferry_error *reterr) {
    const ferry_broker_move_args *args = p;
    uint64_t n = 0;
    int r = check_limit(args->limit, reterr);

    if (r < 0)
        return r;
    if (!session_may(ask->session, ACTION_MANAGE, span_text(args->to)))
        return session_denied(ask->session, "manage", span_text(args->to), reterr);
    r = queues_move(ask->broker->queues, span_text(args->from), span_text(args->to),
                    (uint64_t)args->limit, ask->session, ask->id, &n);
    write_uint(to, n);
    return too_busy(no_queue(no_room_in(r, args->to, reterr), args->from, reterr), reterr);
}

static int configure_queue(const Ask *ask, const void *p, Buffer *to, ferry_error *reterr) {
    const ferry_broker_configure_args *args = p;

    (void)to;
    return queues_set(ask->broker->queues, span_text(args->queue), args->setting, args->value,
                      ask->session, ask->id, reterr);
}

/* ---- durable subscriptions ---- */

static int bind_queue(const Ask *ask, const void *p, Buffer *to, ferry_error *reterr) {
    const ferry_broker_bind_args *args = p;

    (void)to;
    if (!session_may(ask->session, ACTION_SUBSCRIBE, span_text(args->pattern)))
        return session_denied(ask->session, "subscribe", span_text(args->pattern), reterr);
    return binds_add(ask->broker->binds, span_text(args->queue), span_text(args->pattern),
                     ask->session, ask->id, reterr);
}

static int unbind_queue(const Ask *ask, const void *p, Buffer *to, ferry_error *reterr) {
    const ferry_broker_unbind_args *args = p;
    int r = binds_remove(ask->broker->binds, span_text(args->queue), span_text(args->pattern),
                         ask->session, ask->id);

    (void)to;
    if (r == -ENOENT)
        return error_set(reterr, "ferry.NotFound", "the queue '%s' is not bound to '%s'",
                         shown(span_text(args->queue)), shown(span_text(args->pattern)));
    if (r == -EPERM)
        return error_set(reterr, "ferry.InvalidArgument",
                         "the configuration binds the queue '%s' to '%s': change it there",
                         shown(span_text(args->queue)), shown(span_text(args->pattern)));
    return r;
}

/* ---- recurring jobs ---- */

/* May the session do this to a job or a schedule of the queue? 0; -EACCES; -ENOENT: the session
 * does not see the queue, so that it must not learn what belongs to it. The log has both. */
static int check_part(const Ask *ask, Action action, Span queue, ferry_error *reterr) {
    int r;

    if (session_may(ask->session, action, queue))
        return 0;
    r = session_denied(ask->session, action_name(action), queue, reterr);
    if (session_sees(ask->session, SIGHT_OF_QUEUE, queue))
        return r;
    ferry_error_clear(reterr);
    return -ENOENT;
}

static int add_schedule(const Ask *ask, const void *p, Buffer *to, ferry_error *reterr) {
    const ferry_broker_add_schedule_args *args = p;
    Schedules *schedules = ask->broker->schedules;
    Span before = schedules_queue_of(schedules, span_text(args->name));
    int r = 0;

    (void)to;
    /* The schedule may take the place of one for another queue. */
    if (before.len > 0)
        r = check_part(ask, ACTION_MANAGE, before, reterr);
    if (r == -ENOENT)
        return error_set(reterr, "ferry.AlreadyExists",
                         "a schedule of another user has the name '%s'",
                         shown(span_text(args->name)));
    if (r < 0)
        return r;
    if (args->every < 0)
        return error_set(reterr, "ferry.InvalidArgument", "args: every cannot be negative");
    return schedules_add(schedules,
                         &(ScheduleParts){.name = span_text(args->name),
                                          .queue = span_text(args->queue),
                                          .cron = span_text(args->cron),
                                          .every_ms = (uint64_t)args->every,
                                          .zone = span_text(args->tz),
                                          .missed = span_text(args->missed),
                                          .body = span_of(args->body.data, args->body.len)},
                         ask->session, ask->id, reterr);
}

static int remove_schedule(const Ask *ask, const void *p, Buffer *to, ferry_error *reterr) {
    const ferry_broker_remove_schedule_args *args = p;
    Schedules *schedules = ask->broker->schedules;
    Span queue = schedules_queue_of(schedules, span_text(args->name));
    int r = queue.len > 0 ? check_part(ask, ACTION_MANAGE, queue, reterr) : -ENOENT;

    (void)to;
    if (r == -ENOENT)
        return error_set(reterr, "ferry.NotFound", "there is no schedule '%s'",
                         shown(span_text(args->name)));
    if (r < 0)
        return r;
    return schedules_remove(schedules, span_text(args->name), ask->session, ask->id);
}

static int list_schedules(const Ask *ask, const void *p, Buffer *to, ferry_error *reterr) {
    (void)p;
    (void)reterr;
    schedules_list(ask->broker->schedules, ask->session, to);
    return 0;
}

/* ---- one job ---- */

/* 0 if the session may do the action on the job's queue. A job of a queue that the session may not
 * see does not exist for it. */
static int check_job(const Ask *ask, int64_t number, Action action, ferry_error *reterr) {
    Span queue =
        number > 0 ? queues_queue_of_job(ask->broker->queues, (uint64_t)number) : (Span){NULL, 0};
    int r = queue.len > 0 ? check_part(ask, action, queue, reterr) : -ENOENT;

    if (r == -ENOENT)
        return error_set(reterr, "ferry.NotFound", "there is no job %lld", (long long)number);
    return r;
}

static int show_job(const Ask *ask, const void *p, Buffer *to, ferry_error *reterr) {
    const ferry_broker_job_args *args = p;
    int r = check_job(ask, args->job, ACTION_PEEK, reterr);

    return r < 0 ? r : queues_show_job(ask->broker->queues, (uint64_t)args->job, to);
}

static int cancel_job(const Ask *ask, const void *p, Buffer *to, ferry_error *reterr) {
    const ferry_broker_cancel_args *args = p;
    int r = check_job(ask, args->job, ACTION_MANAGE, reterr);

    (void)to;
    return r < 0 ? r
                 : queues_cancel(ask->broker->queues, (uint64_t)args->job, ask->session, ask->id);
}

static int run_job_now(const Ask *ask, const void *p, Buffer *to, ferry_error *reterr) {
    const ferry_broker_run_now_args *args = p;
    int r = check_job(ask, args->job, ACTION_MANAGE, reterr);

    write_nil(to);
    if (r == 0)
        r = queues_run_now(ask->broker->queues, (uint64_t)args->job);
    if (r == -EBUSY)
        return error_set(
            reterr, "ferry.InvalidArgument",
            "job %lld does not wait: a worker has it, or it becomes a dead letter, or another one "
            "with its ordering key comes first",
            (long long)args->job);
    return r;
}

static int move_job(const Ask *ask, const void *p, Buffer *to, ferry_error *reterr) {
    const ferry_broker_move_job_args *args = p;
    int r = check_job(ask, args->job, ACTION_MANAGE, reterr);

    (void)to;
    if (r < 0)
        return r;
    if (!session_may(ask->session, ACTION_MANAGE, span_text(args->to)))
        return session_denied(ask->session, "manage", span_text(args->to), reterr);
    return no_room_in(queues_move_job(ask->broker->queues, (uint64_t)args->job, span_text(args->to),
                                      ask->session, ask->id),
                      args->to, reterr);
}

/* ---- taps ---- */

/* Each pattern of the tap must be allowed; a tap without patterns is about all names. */
static int check_tap(const Ask *ask, const TapFilter *filter, ferry_error *reterr) {
    size_t n = 0;

    for (TapKind kind = 0; kind < TAP_KINDS; kind++)
        for (size_t i = 0; i < filter->names[kind].n; i++, n++) {
            Span pattern = span_text(filter->names[kind].patterns[i]);

            if (!session_may(ask->session, ACTION_WATCH, pattern))
                return session_denied(ask->session, "watch", pattern, reterr);
        }
    if (n == 0 && !session_may(ask->session, ACTION_WATCH, all_names()))
        return session_denied(ask->session, "watch", all_names(), reterr);
    return 0;
}

static int tap(const Ask *ask, const void *p, Buffer *to, ferry_error *reterr) {
    const ferry_broker_tap_args *args = p;
    TapFilter filter = {
        .names = {[TAP_SERVICES] = {args->services->v, args->services->n},
                  [TAP_TOPICS] = {args->topics->v, args->topics->n},
                  [TAP_QUEUES] = {args->queues->v, args->queues->n}},
        .session = (uint64_t)args->session,
        .max_body = (uint64_t)args->max_body,
    };
    int r;

    (void)to;
    if (!ask->streams || ask->id == 0)
        return error_set(reterr, "ferry.InvalidArgument", "call it as a stream from the broker");
    if (args->session < 0 || args->max_body < 0)
        return error_set(reterr, "ferry.InvalidArgument",
                         "args: session and max_body cannot be negative");
    r = check_tap(ask, &filter, reterr);
    if (r == 0)
        r = taps_open(ask->broker->taps, ask->session, ask->id, &filter, reterr);
    return r < 0 ? r : ANSWERED_LATER;
}

static int drain(const Ask *ask, const void *p, Buffer *to, ferry_error *reterr) {
    (void)p;
    (void)reterr;
    log_info("draining, as ferry.Broker.drain was called");
    ask->broker->draining = true;
    write_nil(to);
    return 0;
}

/* ---- users ---- */

static int kick(const Ask *ask, const void *p, Buffer *to, ferry_error *reterr) {
    const ferry_broker_kick_args *args = p;
    bool may_all = session_may(ask->session, ACTION_MANAGE, all_names());
    Session *session;

    write_nil(to);
    DL_FOREACH(ask->broker->sessions, session) {
        if ((int64_t)session->number != args->session || session->ending)
            continue;
        if (!may_all && session->user != ask->session->user)
            break;
        log_info("a session ends, ferry.Broker.kick was called: session=%u by=%u", session->number,
                 ask->session->number);
        session_end(session, "kicked");
        return 0;
    }
    /* A session that the user may not see gets the same answer as an unused number. */
    return error_set(reterr, "ferry.NotFound", "there is no session %lld",
                     (long long)args->session);
}

static int reload(const Ask *ask, const void *p, Buffer *to, ferry_error *reterr) {
    (void)p;
    write_nil(to);
    if (!ask->broker->reload)
        return error_set_code(reterr, -EOPNOTSUPP, NULL);
    return ask->broker->reload(ask->broker, reterr);
}

static void write_decision(Buffer *to, bool is_allowed, const char *rule, int line) {
    write_map(to, 3);
    write_text(to, "allowed");
    write_bool(to, is_allowed);
    write_text(to, "rule");
    write_text(to, rule);
    write_pair(to, "line", (uint64_t)line);
}

/* A user may ask about itself, an administrator about everybody. */
static int check(const Ask *ask, const void *p, Buffer *to, ferry_error *reterr) {
    const ferry_broker_check_args *args = p;
    const User *self = ask->session->user, *user;
    char text[RIGHTS_PROBLEM_MAX];
    const Grant *grant;
    Action action;

    if (!action_parse(args->action, &action))
        return error_set(reterr, "ferry.InvalidArgument",
                         "args.action: call, serve, publish, subscribe, push, work, peek, manage, "
                         "watch or admin, not '%s'",
                         shown(span_text(args->action)));
    if (!pattern_is_valid(args->name, strlen(args->name)))
        return error_set(reterr, "ferry.InvalidArgument", "args.name: '%s': %s",
                         shown(span_text(args->name)),
                         name_problem(args->name, strlen(args->name)));
    if (!self) {
        write_decision(to, true, "", 0);
        return 0;
    }
    if (*args->user && strcmp(self->name, args->user) != 0 &&
        !session_may(ask->session, ACTION_ADMIN, all_names()))
        return session_denied(ask->session, "ask about the user", span_text(args->user), reterr);
    user = *args->user ? rights_user(ask->broker->rights, args->user) : self;
    if (!user)
        return error_set(reterr, "ferry.NotFound", "there is no user '%s'",
                         shown(span_text(args->user)));
    grant = user_right(user, action, span_text(args->name));
    write_decision(to, grant != NULL, grant ? grant_text(grant, text, sizeof(text)) : "",
                   grant ? grant->line : 0);
    return 0;
}

/* ---- all methods ---- */

/* The right that a method needs. */
typedef enum Need {
    NEED_NOT_SET,
    NEED_NOTHING,          /* or it checks each name itself */
    NEED_SIGHT_OF_SERVICE, /* of its first argument */
    NEED_SIGHT_OF_QUEUE,   /* of its first argument */
    NEED_ACTION_ON_QUEUE,  /* its first argument */
    NEED_ACTION_ON_ALL,    /* the pattern '>' */
} Need;

/* Writes the result, or returns ANSWERED_LATER, or a negative errno. *reterr may have a more
 * precise error. */
typedef int (*MethodFn)(const Ask *ask, const void *args, Buffer *to, ferry_error *reterr);

/* In the order of the interface file. */
static const struct {
    const char *name;
    MethodFn run;
    Need need;
    Action action;
} methods[] = {
    {"services", list_services, NEED_NOTHING, 0},
    {"describe", describe, NEED_SIGHT_OF_SERVICE, 0},
    {"methods", list_methods, NEED_SIGHT_OF_SERVICE, 0},
    {"topics", list_topics, NEED_NOTHING, 0},
    {"queues", list_queues, NEED_NOTHING, 0},
    {"queue", show_queue, NEED_SIGHT_OF_QUEUE, 0},
    {"sessions", list_sessions, NEED_NOTHING, 0},
    {"stats", stats, NEED_ACTION_ON_ALL, ACTION_WATCH},
    {"peek", peek, NEED_ACTION_ON_QUEUE, ACTION_PEEK},
    {"purge", purge, NEED_ACTION_ON_QUEUE, ACTION_MANAGE},
    {"pause", pause_queue, NEED_ACTION_ON_QUEUE, ACTION_MANAGE},
    {"resume", resume_queue, NEED_ACTION_ON_QUEUE, ACTION_MANAGE},
    {"move", move, NEED_ACTION_ON_QUEUE, ACTION_MANAGE},
    {"bind", bind_queue, NEED_ACTION_ON_QUEUE, ACTION_MANAGE},
    {"unbind", unbind_queue, NEED_ACTION_ON_QUEUE, ACTION_MANAGE},
    {"configure", configure_queue, NEED_ACTION_ON_QUEUE, ACTION_MANAGE},
    {"add_schedule", add_schedule, NEED_ACTION_ON_QUEUE, ACTION_MANAGE},
    {"schedules", list_schedules, NEED_NOTHING, 0},
    {"remove_schedule", remove_schedule, NEED_NOTHING, 0},
    {"job", show_job, NEED_NOTHING, 0},
    {"cancel", cancel_job, NEED_NOTHING, 0},
    {"run_now", run_job_now, NEED_NOTHING, 0},
    {"move_job", move_job, NEED_NOTHING, 0},
    {"drain", drain, NEED_ACTION_ON_ALL, ACTION_ADMIN},
    {"tap", tap, NEED_NOTHING, 0},
    {"kick", kick, NEED_NOTHING, 0},
    {"reload", reload, NEED_ACTION_ON_ALL, ACTION_ADMIN},
    {"check", check, NEED_NOTHING, 0},
};

enum { N_METHODS = sizeof(methods) / sizeof(*methods) };

const char *manage_method(size_t i) {
    return i < N_METHODS ? methods[i].name : NULL;
}

bool manage_has_need(size_t i) {
    return methods[i].need != NEED_NOT_SET;
}

/* 0, or -EACCES. Methods with a name have it as their first argument. */
static int check_need(const Ask *ask, size_t i, const void *args, ferry_error *reterr) {
    const char *action = action_name(methods[i].action);
    Session *session = ask->session;
    Span name = all_names();

    if (methods[i].need == NEED_SIGHT_OF_SERVICE || methods[i].need == NEED_SIGHT_OF_QUEUE ||
        methods[i].need == NEED_ACTION_ON_QUEUE)
        name = span_text(*(const char *const *)args);
    switch (methods[i].need) {
    case NEED_NOTHING:
        return 0;
    case NEED_SIGHT_OF_SERVICE:
        if (name_is_reserved(name.data, name.len) || session_sees(session, SIGHT_OF_SERVICE, name))
            return 0;
        return session_denied(session, "see", name, reterr);
    case NEED_SIGHT_OF_QUEUE:
        return session_sees(session, SIGHT_OF_QUEUE, name)
                   ? 0
                   : session_denied(session, "see", name, reterr);
    case NEED_ACTION_ON_QUEUE:
    case NEED_ACTION_ON_ALL:
        return session_may(session, methods[i].action, name)
                   ? 0
                   : session_denied(session, action, name, reterr);
    case NEED_NOT_SET:
        break;
    }
    return session->user ? session_denied(session, "call", span_text(methods[i].name), reterr) : 0;
}

static int run(const Ask *ask, const Message *message, size_t i, Buffer *to, ferry_error *reterr) {
    const ferry_method *declared = NULL;
    Span body = message->body.len > 0 ? message->body : span_text("\x90");
    void *args = NULL;
    int r;

    for (uint32_t j = 0; j < ferry_service_ferry_broker.n_methods && !declared; j++)
        if (span_is(message->call.method, ferry_service_ferry_broker.methods[j].name))
            declared = &ferry_service_ferry_broker.methods[j];
    assert(declared);
    if (body.len > BODY_MAX)
        return error_set(reterr, "ferry.TooBig", "args: %d bytes at most", BODY_MAX);
    r = schema_unpack_block(declared->args, body, "args", &args, reterr);
    if (r == 0)
        r = check_need(ask, i, args, reterr);
    if (r == 0)
        r = methods[i].run(ask, args, to, reterr);
    ferry_free(args);
    ask->broker->work += (unsigned)(to->len / 32);
    if (r == 0 && to->failed)
        r = -ENOMEM;
    return r;
}

static void answer(Broker *broker, Session *session, const Message *message, size_t i) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    CLEANUP(buffer_deinit) Buffer result = {0};
    Method *method = methods_get(services_own(broker->services), message->call.method);
    uint64_t started_us = clock_us();
    int r;

    if (method)
        method->calls++;
    r = run(&(Ask){broker, session, message->id, message->call.flags & CALL_STREAM_OUT}, message, i,
            &result, &error);
    if (r == 0 && result.len > WIRE_INLINE_MAX && !session_may_get(session, result.len))
        r = error_set(&error, "ferry.Overloaded",
                      "the session has used up its share of the broker's max_memory: no room for "
                      "the answer");
    if (r < 0 && !error.type)
        error_set_code(&error, r, NULL);
    method_ended(method, NULL, clock_us() - started_us,
                 r < 0 ? span_text(error.type) : (Span){NULL, 0});
    if (r < 0)
        session_error(session, message->id, error.type, "%s", error.message);
    else if (r != ANSWERED_LATER && message->id != 0)
        session_send(
            session, LANE_CALLS,
            &(Message){.op = OP_OK, .id = message->id, .body = span_of(result.data, result.len)},
            NULL);
}

bool manage_is_costly(const Broker *broker, const Message *message) {
    enum { MANY = 1000 };

    /* Up to 4 MiB of jobs. */
    if (span_is(message->call.method, "peek"))
        return true;
    return broker->n_sessions + queues_count(broker->queues) + topics_count(broker->topics) +
               services_count(broker->services) >
           MANY;
}

void manage_call(Broker *broker, Session *session, const Message *message) {
    if (!span_is(message->name, ferry_service_ferry_broker.name)) {
        session_error(session, message->id, "ferry.NoSuchService", "no server offers '%s'",
                      shown(message->name));
        return;
    }
    if (message->call.instance.len > 0 && !span_is(message->call.instance, INSTANCE)) {
        session_error(session, message->id, "ferry.NoSuchService", "'%s' has no instance '%s'",
                      shown(message->name), shown(message->call.instance));
        return;
    }
    for (size_t i = 0; i < N_METHODS; i++)
        if (span_is(message->call.method, methods[i].name)) {
            answer(broker, session, message, i);
            return;
        }
    session_error(session, message->id, "ferry.NoSuchMethod", "ferry.Broker has no method '%s'",
                  shown(message->call.method));
}
