/* SPDX-License-Identifier: Apache-2.0 */

/* The broker as a program: start, loop, signals, draining. See main.h. */

#include "broker/main.h"

#include <fcntl.h>
#include <inttypes.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/container.h"
#include "base/error.h"
#include "base/log.h"
#include "base/systemd.h"
#include "base/text.h"
#include "broker/admin/admin.h"
#include "broker/admin/binds.h"
#include "broker/admin/retained.h"
#include "broker/config.h"
#include "broker/core/peer-log.h"
#include "broker/core/rooms.h"
#include "broker/events/events.h"
#include "broker/listen.h"
#include "broker/loop/deferred.h"
#include "broker/loop/dispatch.h"
#include "broker/loop/trim.h"
#include "broker/memory-limit.h"
#include "broker/own-stores.h"
#include "broker/queues/queues.h"
#include "broker/schedules/schedules.h"
#include "broker/services/services.h"
#include "broker/sessions/hello.h"
#include "broker/sessions/quota.h"
#include "broker/sessions/user.h"
#include "broker/taps/tap.h"
#include "broker/topics/topics.h"

enum {
    TURN_BYTES = 1 << 20, /* a turn ends after this many bytes of input, or after TURN_US */
    TURN_US = 500,
    TURN_TIMERS = 512, /* deadlines that one turn handles */
    SPIN_US = 200,
    PAUSE_MS = 1000,  /* a sleep that is longer than planned by this time means that the process was
                       * stopped */
    CATCH_UP_MS = 20, /* after a pause, timers wait at least this long for input */
    CATCH_UP_MAX_MS = 2000, /* and at most this long */
    DRAIN_CHECK_MS = 20,
    SHARDS_CHECK_MS = 5, /* while a shard waits for the router */
};

typedef struct BrokerProgram {
    const BrokerOptions *options;
    Config config;
    Broker broker;
    KeyPair *keys[CURVE_SERVER_KEYS_MAX]; /* broker.keys points to them */
    bool needs_keys; /* other machines can reach an endpoint, and --insecure is not given */
    int signals;     /* signalfd */
    Waker waker;     /* a store has work for the broker's thread */
    int wakers;      /* epoll of signals and waker */
    OwnStores stores;
    uint64_t drain_ends_ms; /* 0: the broker does not drain */
    uint64_t woke_ms;       /* when a pause ended; 0: the broker has caught up */
    uint64_t n_batches;     /* batches handled so far */
    Trim trim;
    Timer trim_timer;
    Timer alive; /* tells the service manager each alive_ms that the broker works */
    uint64_t alive_ms;
} BrokerProgram;

static bool on_gone(Peer *peer, void *ctx) {
    return sessions_peer_gone(ctx, peer);
}

static void on_refused(const char *problem, bool is_harmless, const char *address, void *ctx) {
    peer_log(ctx, is_harmless ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING,
             "a connection is refused: peer=%s problem='%s'", address, problem);
    if (!is_harmless)
        peer_tell_refused(ctx, address, problem);
}

/* ---- keys ---- */

/* True: the owner of this key may connect. The log has refused keys, because an administrator may
 * want to add one. */
static bool admits(const uint8_t key[KEY_SIZE], void *ctx) {
    Broker *broker = ctx;
    char text[KEY_TEXT_MAX];

    if (broker->rights && rights_user_of_key(broker->rights, key))
        return true;
    peer_log(broker, LOG_LEVEL_WARNING, "an unknown key is refused: key=%s", key_text(key, text));
    peer_tell_refused(broker, "", "no user has its key");
    return false;
}

/* From now on the broker has the keys of this configuration. */
static void take_keys(BrokerProgram *program, Config *config) {
    CurveKeys *keys = &program->broker.keys;

    for (unsigned i = 0; i < CURVE_SERVER_KEYS_MAX; i++)
        key_pair_free(program->keys[i]);
    keys->n_pairs = config->n_keys;
    for (unsigned i = 0; i < CURVE_SERVER_KEYS_MAX; i++)
        keys->pairs[i] = program->keys[i] = steal(&config->keys[i]);
    config->n_keys = 0;
}

/* ---- opening ---- */

/* The next broker on this machine starts at a later microsecond, so it has another epoch. A broker
 * gives out less than one id in each microsecond, so no two brokers give out the same id. */
static void begin_epoch(Broker *broker) {
    const uint64_t start_of_2026 = UINT64_C(1767225600) * 1000000;

    broker->epoch = clock_wall_us();
    broker->first_id = broker->epoch > start_of_2026 ? broker->epoch - start_of_2026 : 0;
}

/* An option on the command line has precedence over the file. */
static const char *option_of(const char *option, const char *setting) {
    return option ? option : setting;
}

static int open_rooms(BrokerProgram *program, ferry_error *reterr) {
    const BrokerOptions *own = program->options;
    Broker *broker = &program->broker;
    HubOptions options = {.max_body = program->config.limits.max_body,
                          .budget = &broker->budget,
                          .max_connections = program->config.limits.max_connections,
                          .max_per_address = program->config.limits.max_connections_per_address,
                          .max_handshakes = program->config.limits.max_handshakes_per_address,
                          .max_unfinished = program->config.limits.max_unfinished_per_address,
                          .ipc_mode = program->config.ipc_mode,
                          .keys = &broker->keys,
                          .spin_us = SPIN_US,
                          .waker = &program->waker,
                          .on_gone = on_gone,
                          .on_refused = on_refused,
                          .ctx = broker};
    int r;

    broker->keys = (CurveKeys){.is_server = true, .admits = admits, .ctx = broker};
    broker->limits = program->config.limits;
    broker->cluster = program->config.cluster;
    broker->budget.max = broker->limits.max_memory;
    broker->budget.max_transfers = broker->limits.max_transfer_bytes;
    broker->now_us = clock_us();
    broker->now_ms = broker->now_us / 1000;
    broker->started_ms = broker->now_ms;
    begin_epoch(broker);
    random_bytes(broker->id, sizeof(broker->id));
    timers_init(&broker->timers, broker->now_ms);
    if (events_new(&broker->events, broker) < 0 || deferred_new(&broker->deferred, broker) < 0 ||
        services_new(&broker->services, broker) < 0 || topics_new(&broker->topics, broker) < 0 ||
        queues_new(&broker->queues, broker) < 0 || binds_new(&broker->binds, broker) < 0 ||
        retained_new(&broker->retained, broker) < 0 ||
        schedules_new(&broker->schedules, broker) < 0 || admin_new(&broker->admin, broker) < 0 ||
        taps_new(&broker->taps, broker) < 0)
        return error_set_code(reterr, -ENOMEM, NULL);
    r = own_stores_add(&program->stores, broker, option_of(own->data, program->config.data),
                       option_of(own->store, program->config.store), reterr);
    return r < 0 ? r : hub_new(&broker->hub, &options, reterr);
}

static void take_signals(BrokerProgram *program) {
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    /* Block signals before the first thread starts: threads inherit the mask. */
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    program->signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

static int watch(int epoll, int fd) {
    return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &(struct epoll_event){.events = EPOLLIN});
}

/* Restoring a large folder may take longer than the service manager waits: each second, this asks
 * for half a minute more. */
static void tell_restoring(uint64_t *told_ms) {
    if (clock_ms() < *told_ms + 1000)
        return;
    *told_ms = clock_ms();
    systemd_notify("STATUS=restoring the queues\nEXTEND_TIMEOUT_USEC=30000000");
}

static bool on_signals(BrokerProgram *program);

/* 1: there is more to do. */
static int restore_some(BrokerProgram *program, ferry_error *reterr) {
    int r = queues_restore(program->broker.queues, reterr);

    return r == 0 ? own_stores_check(&program->stores, reterr) : r;
}

/* A store may wait for another broker or for a server: a signal ends the wait. */
static int restore(BrokerProgram *program, ferry_error *reterr) {
    uint64_t told_ms = 0;
    int r;

    while ((r = restore_some(program, reterr)) > 0) {
        tell_restoring(&told_ms);
        if (on_signals(program) || program->broker.draining)
            return error_set_code(reterr, -ECANCELED, "ended before the queues were restored");
    }
    return r;
}

/* Redis may not answer now: a signal ends the wait. */
static int join_cluster(BrokerProgram *program, ferry_error *reterr) {
    uint64_t told_ms = 0;

    while (!own_stores_join(&program->stores)) {
        tell_restoring(&told_ms);
        if (on_signals(program) || program->broker.draining)
            return error_set_code(reterr, -ECANCELED, "ended before the cluster was known");
    }
    return 0;
}

/* Opens the stores and restores their contents. Signals and stores both wake the loop. */
static int open_stores(BrokerProgram *program, ferry_error *reterr) {
    const OwnStores *stores = &program->stores;
    uint64_t began_ms = clock_ms();
    char memory[16];
    int r = waker_open(&program->waker);

    if (r < 0)
        return error_set_code(reterr, r, NULL);
    program->wakers = epoll_create1(EPOLL_CLOEXEC);
    if (program->wakers < 0 || watch(program->wakers, program->waker.fd) < 0 ||
        watch(program->wakers, program->signals) < 0)
        return error_set_code(reterr, -errno, NULL);
    if (!stores->disk && !stores->redis && !stores->shards)
        log_info("there is no data folder (--data DIR): queues are in memory and end with the "
                 "broker");
    r = queues_open_stores(program->broker.queues, &program->waker, reterr);
    if (r == 0)
        r = restore(program, reterr);
    if (r < 0 || (!stores->disk && !stores->redis))
        return r;
    text_format_bytes(memory, trim_resident());
    log_info("the queues are restored: ms=%" PRIu64 " memory='%s'", clock_ms() - began_ms, memory);
    trim_start(); /* gives back memory that only the restore needed */
    return 0;
}

/* Reads the file once. The Config keeps the errors. */
static int read_config(const BrokerProgram *program, Config *config) {
    int r = program->options->config ? config_read(config, program->options->config) : 0;

    if (r == 0 || r == -EINVAL)
        config_fit(config, memory_allowed());
    return r == 0 && config->n_errors > 0 ? -EINVAL : r;
}

static void log_config_errors(const Config *config) {
    char text[1024];

    for (size_t i = 0; i < config->n_errors; i++) {
        config_error_format(config, i, text, sizeof(text));
        log_error("%s", text);
    }
}

/* An option on the command line has precedence over the file. */
static int set_log_level(const BrokerProgram *program, const Config *config, ferry_error *reterr) {
    const char *option = program->options->log_level;
    LogLevel level;

    if (option && log_level_parse(option, &level) < 0)
        return error_set(reterr, "ferry.InvalidArgument",
                         "the log level must be error, warning, info or debug, not '%s'", option);
    log_format = config->log_json ? LOG_JSON : LOG_TEXT;
    if (option)
        log_level = level;
    else if (config->log_level >= 0)
        log_level = (LogLevel)config->log_level;
    return 0;
}

/* ---- running ---- */

static void on_trim(Timer *timer, void *ctx) {
    BrokerProgram *program = container_of(timer, BrokerProgram, trim_timer);
    Broker *broker = ctx;
    size_t resident = trim_resident(), used = (size_t)budget_used(&broker->budget);

    timer_arm(&broker->timers, timer, broker->now_ms + TRIM_LOOK_MS, on_trim);
    if (!trim_look(&program->trim, resident, used, program->n_batches))
        return;
    log_debug("giving memory back: resident=%zu used=%zu", resident, used);
    trim_start();
}

/* The loop is running, which is the condition for the service manager's watchdog. If a store cannot
 * write, the broker is degraded, and a restart would not help. */
static void on_alive(Timer *timer, void *ctx) {
    const BrokerProgram *program = container_of(timer, BrokerProgram, alive);
    Broker *broker = ctx;

    timer_arm(&broker->timers, timer, broker->now_ms + program->alive_ms, on_alive);
    systemd_notify("WATCHDOG=1");
}

/* Adopts the whole configuration. If it has an error, nothing changes. */
static int take_configuration(Broker *broker, ferry_error *reterr) {
    BrokerProgram *program = container_of(broker, BrokerProgram, broker);
    CLEANUP(config_deinit) Config config;
    Limits before = broker->limits;
    char text[1024];
    int r;

    config_init(&config);
    r = read_config(program, &config);
    if (r == 0 && program->needs_keys)
        config_require_keys(&config);
    /* These limits change only with a restart, as endpoints do: the hub, the budget or open
     * transfers use their first values. All other limits apply from their next use. */
    config.limits.max_body = before.max_body;
    config.limits.max_connections = before.max_connections;
    config.limits.max_connections_per_address = before.max_connections_per_address;
    config.limits.max_handshakes_per_address = before.max_handshakes_per_address;
    config.limits.max_unfinished_per_address = before.max_unfinished_per_address;
    config.limits.max_transfer_bytes = before.max_transfer_bytes;
    config.limits.max_memory = before.max_memory;
    broker->limits = config.limits;
    queues_reload(broker->queues);
    topics_reload(broker->topics);
    binds_reload(broker->binds);
    /* Apply the settings after an error, too: the log gets all errors of the file. */
    if (config_apply(&config, broker) < 0)
        r = -EINVAL;
    if (r < 0)
        broker->limits = before;
    queues_reloaded(broker->queues, r == 0);
    topics_reloaded(broker->topics, r == 0);
    binds_reloaded(broker->binds, r == 0);
    if (r < 0) {
        log_config_errors(&config);
        log_error("the configuration was not changed: errors=%zu", config.n_errors);
        config_error_format(&config, 0, text, sizeof(text));
        return error_set(reterr, "ferry.InvalidArgument", "the configuration was not changed: %s",
                         text);
    }
    take_keys(program, &config);
    sessions_set_rights(broker, steal(&config.rights));
    set_log_level(program, &config, NULL);
    program->config.drain_timeout_ms = config.drain_timeout_ms;
    log_info("the configuration has been read again");
    return 0;
}

static int reload(Broker *broker, ferry_error *reterr) {
    int r;

    systemd_reloading();
    r = take_configuration(broker, reterr);
    systemd_notify("READY=1");
    return r;
}

/* True: stop now. */
static bool on_signals(BrokerProgram *program) {
    struct signalfd_siginfo info;
    Broker *broker = &program->broker;

    while (read(program->signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        if (info.ssi_signo == SIGHUP) {
            reload(broker, NULL);
            continue;
        }
        if (broker->draining)
            return true;
        log_info("draining: finishing calls and jobs, taking no new ones: calls=%zu jobs=%zu",
                 services_n_calls(broker->services), queues_n_in_flight(broker->queues));
        sessions_drain(broker);
    }
    return false;
}

/* A signal or ferry.Broker.drain has begun to drain the broker: drain_timeout runs from now on. */
static void begin_drain(BrokerProgram *program) {
    program->drain_ends_ms = program->broker.now_ms + program->config.drain_timeout_ms;
    own_stores_leave(&program->stores);
    systemd_notify("STOPPING=1\nSTATUS=draining");
}

static bool is_drained(const BrokerProgram *program) {
    const Broker *broker = &program->broker;

    return (rooms_n_unfinished(broker) == 0 && broker->sessions.n_to_leave == 0 &&
            own_stores_have_left(&program->stores) && sessions_are_answered(broker)) ||
           broker->now_ms >= program->drain_ends_ms;
}

static void tick(Broker *broker) {
    broker->now_us = clock_us();
    broker->now_ms = broker->now_us / 1000;
}

static int time_to_sleep(const BrokerProgram *program) {
    const Broker *broker = &program->broker;
    uint64_t next = timers_next(&broker->timers), hub_next = hub_next_ms(broker->hub);
    uint64_t rooms_next = rooms_next_ms(broker);

    next = next < hub_next ? next : hub_next;
    next = next < rooms_next ? next : rooms_next;
    /* The end of drain_timeout has no timer. */
    if (broker->draining && next > broker->now_ms + DRAIN_CHECK_MS)
        next = broker->now_ms + DRAIN_CHECK_MS;
    if (program->stores.are_busy && next > broker->now_ms + SHARDS_CHECK_MS)
        next = broker->now_ms + SHARDS_CHECK_MS;
    if (next == UINT64_MAX)
        return -1;
    return next <= broker->now_ms          ? 0
           : next - broker->now_ms > 60000 ? 60000
                                           : (int)(next - broker->now_ms);
}

/*
 * After a long pause (a suspended machine, SIGSTOP) many deadlines have passed, while messages that
 * would have disarmed their timers wait in the socket. Read these messages before timers run.
 */
static bool timers_may_run(BrokerProgram *program, bool dry) {
    uint64_t now_ms = program->broker.now_ms;

    if (program->woke_ms == 0)
        return true;
    if ((!dry || now_ms < program->woke_ms + CATCH_UP_MS) &&
        now_ms < program->woke_ms + CATCH_UP_MAX_MS)
        return false;
    program->woke_ms = 0;
    return true;
}

static void turn(BrokerProgram *program) {
    Broker *broker = &program->broker;
    size_t bytes = 0, len;
    const uint8_t *data;
    uint64_t ends_us;
    bool dry = false;
    unsigned n = 0;
    Peer *peer;

    tick(broker);
    ends_us = broker->now_us + TURN_US;
    dispatch_deferred(broker);
    while (bytes < TURN_BYTES && broker->turn.work < TURN_WORK) {
        dry = !hub_receive(broker->hub, &peer, &data, &len);
        if (dry)
            break;
        bytes += len + peer->in.landed;
        dispatch_batch(broker, peer, data, len);
        if (broker->sessions.ending)
            sessions_turn_end(broker);
        /* Read the clock once for 16 batches: a turn may have a thousand tiny batches. */
        if (++n % 16 == 0 && clock_us() > ends_us)
            break;
    }
    program->n_batches += n;
    broker->stats.turns++;
    if (timers_may_run(program, dry)) {
        timers_run_some(&broker->timers, broker->now_ms, TURN_TIMERS, broker);
        rooms_run_timers(broker);
    }
    rooms_turn_end(broker);
    sessions_turn_end(broker);
    hub_flush(broker->hub);
}

/* Handles the finished changes of the stores and, if a descriptor is readable, signals. True: stop
 * now. */
static bool on_wake(BrokerProgram *program, bool is_readable) {
    bool is_called = waker_take(&program->waker, is_readable);

    if (is_called || program->stores.are_busy)
        tick(&program->broker);
    if (is_called)
        queues_process_stores(program->broker.queues);
    if (is_called || program->stores.are_busy)
        own_stores_turn(&program->stores);
    return is_readable && on_signals(program);
}

/* The process was stopped. Another broker may have taken over shards of it meanwhile. */
static void catch_up(BrokerProgram *program) {
    program->woke_ms = clock_ms();
    tick(&program->broker);
    own_stores_turn(&program->stores);
}

static void run(BrokerProgram *program) {
    Broker *broker = &program->broker;

    broker->reload = reload;
    program->alive_ms = systemd_watchdog_ms() / 2;
    if (program->alive_ms > 0)
        timer_arm(&broker->timers, &program->alive, broker->now_ms, on_alive);
    timer_arm(&broker->timers, &program->trim_timer, broker->now_ms + TRIM_LOOK_MS, on_trim);
    for (;;) {
        int sleep_ms = program->woke_ms ? 1 : time_to_sleep(program);
        uint64_t before_ms = clock_ms();

        if (on_wake(program, hub_wait(broker->hub, program->wakers, sleep_ms)))
            return;
        if (sleep_ms >= 0 && clock_ms() > before_ms + (unsigned)sleep_ms + PAUSE_MS)
            catch_up(program);
        turn(program);
        if (queues_lost(broker->queues)) {
            log_error("another broker has the queues, ending: %s", queues_degraded(broker->queues));
            return;
        }
        if (broker->draining && program->drain_ends_ms == 0)
            begin_drain(program);
        if (broker->draining && is_drained(program))
            return;
    }
}

/* Sends BYE to all sessions, and waits up to 100 ms until they are sent. */
static void say_goodbye(Broker *broker) {
    uint64_t until = clock_ms() + 100;
    size_t n = queues_n_in_memory(broker->queues);
    Session *session;
    const uint8_t *data;
    size_t len;
    Peer *peer;

    if (n > 0)
        log_warning("jobs of queues in memory are lost when the broker stops: jobs=%zu", n);
    for (session = broker->sessions.first; session; session = session->next)
        session_end(session, "draining");
    sessions_turn_end(broker);
    while (hub_n_peers(broker->hub) > 0 && clock_ms() < until) {
        hub_flush(broker->hub);
        hub_wait(broker->hub, -1, 10);
        /* Read the peers' disconnects, and drop their further messages. */
        while (hub_receive(broker->hub, &peer, &data, &len))
            ;
        tick(broker);
    }
}

static void close_rooms(BrokerProgram *program) {
    Broker *broker = &program->broker;

    own_stores_stop(&program->stores);
    sessions_free(broker);
    broker->taps = taps_free(broker->taps);
    admin_free(broker->admin);
    schedules_free(broker->schedules);
    retained_free(broker->retained);
    binds_free(broker->binds);
    queues_free(broker->queues);
    topics_free(broker->topics);
    services_free(broker->services);
    deferred_free(broker->deferred);
    broker->events = events_free(broker->events);
    hub_free(broker->hub);
    quotas_free(broker);
    broker->rights = rights_free(broker->rights);
    for (unsigned i = 0; i < CURVE_SERVER_KEYS_MAX; i++)
        program->keys[i] = key_pair_free(program->keys[i]);
    config_deinit(&program->config);
    if (program->signals >= 0)
        close(program->signals);
    if (program->wakers >= 0)
        close(program->wakers);
    waker_close(&program->waker);
    own_stores_free(&program->stores);
}

static int check_web(const BrokerOptions *options, ferry_error *reterr) {
    const char *problem = options->web ? config_web_problem(options->web) : NULL;

    return !problem
               ? 0
               : error_set(reterr, "ferry.InvalidArgument", "--web %s: %s", options->web, problem);
}

/* Reads and applies the configuration, and logs all its errors. */
static int configure(BrokerProgram *program, ferry_error *reterr) {
    Config *config = &program->config;
    int read = read_config(program, config), r = read;

    if (r == 0 || r == -EINVAL)
        r = open_rooms(program, reterr);
    if (r < 0 && config->n_errors == 0)
        return r;
    if (r == 0 && config_apply(config, &program->broker) == 0) {
        take_keys(program, config);
        sessions_set_rights(&program->broker, steal(&config->rights));
        return set_log_level(program, config, reterr);
    }
    log_config_errors(config);
    return read < 0 ? read : -EINVAL;
}

static int check_advertise(const BrokerOptions *options, ferry_error *reterr) {
    const char *problem = options->advertise ? config_advertise_problem(options->advertise) : NULL;

    return !problem ? 0
                    : error_set(reterr, "ferry.InvalidArgument", "--advertise %s: %s",
                                options->advertise, problem);
}

static int start(BrokerProgram *program, ferry_error *reterr) {
    const BrokerEndpoints endpoints = {&program->broker, program->options, &program->config};
    int r = check_web(program->options, reterr);
    BrokerListening listening = {0};

    if (r == 0)
        r = check_advertise(program->options, reterr);
    if (r == 0)
        r = configure(program, reterr);
    if (r < 0 || program->options->check_config)
        return r;
    r = open_stores(program, reterr);
    if (r == 0)
        r = listen_all(&endpoints, &listening, reterr);
    program->needs_keys = listening.is_open && !program->options->insecure;
    if (r == 0)
        r = own_stores_start(&program->stores, &program->broker, listening.advertised, reterr);
    if (r == 0)
        r = join_cluster(program, reterr);
    return r == 0 ? listen_web(&endpoints, listening.url, reterr) : r;
}

/* Wrong usage and missing permission have exit statuses of their own. */
static int exit_status(int code) {
    return code == -EINVAL || code == -EACCES ? error_type_by_code(code)->exit_status
                                              : EXIT_FAILURE;
}

int broker_main(const BrokerOptions *options) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    BrokerProgram program = {.options = options, .waker.fd = -1, .wakers = -1};
    int status = EXIT_SUCCESS, r;

    /* malloc keeps memory between bursts of batches: otherwise the kernel would have to map it
     * again, page by page, in the next burst. */
    mallopt(M_MMAP_THRESHOLD, 4 << 20);
    mallopt(M_TRIM_THRESHOLD, 64 << 20);
    mallopt(M_TOP_PAD, 1 << 20);
    take_signals(&program);
    config_init(&program.config);
    r = start(&program, &error);
    if (r < 0) {
        if (error.message)
            log_error("%s", error.message);
        status = exit_status(error.message ? error.code : r);
    } else if (!options->check_config) {
        log_info("ready");
        systemd_notify("READY=1\nSTATUS=serving");
        run(&program);
        if (queues_broken(program.broker.queues))
            status = EXIT_FAILURE;
        say_goodbye(&program.broker);
        log_info("stopped");
    }
    close_rooms(&program);
    return status;
}
