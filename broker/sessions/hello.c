/* SPDX-License-Identifier: Apache-2.0 */

/* The beginning of a session, with HELLO, and its end; and clients, which outlive their sessions.
 * See hello.h. */

#include "broker/sessions/hello.h"

#include <errno.h>
#include <stdlib.h>
#include <utlist.h>

#include "base/container.h"
#include "base/log.h"
#include "base/text.h"
#include "broker/core/peer-log.h"
#include "broker/core/rooms.h"
#include "broker/events/events.h"
#include "broker/sessions/quota.h"
#include "broker/sessions/user.h"

/* ---- the end ---- */

static void client_found(Broker *broker, Client *client) {
    timer_disarm(&broker->timers, &client->forget);
    if (!client->lost_prev)
        return;
    DL_DELETE2(broker->clients.lost, client, lost_prev, lost_next);
    client->lost_prev = NULL;
    broker->clients.n_lost--;
}

enum { CLIENT_MEMORY = sizeof(Client) + 64 }; /* a client and its entry in the table of clients */

/* Bytes of a session; if it has a user, it remembers what the user may do. */
static uint32_t session_memory(const User *user) {
    return sizeof(Session) + (user ? DECISIONS_MEMORY : 0);
}

static void client_free(Broker *broker, Client *client) {
    broker->budget.bytes[BUDGET_CONNECTIONS] -= CLIENT_MEMORY;
    rooms_client_gone(broker, client);
    client_found(broker, client);
    HASH_DEL(broker->clients.by_id, client);
    user_unref(client->user);
    free(client);
}

static void on_forget(Timer *timer, void *ctx) {
    client_free(ctx, container_of(timer, Client, forget));
}

/* The broker remembers a lost client, because it may come back. CLIENTS_LOST_MAX bounds the memory:
 * a stranger could connect as a new client, and leave, a thousand times a second. */
static void client_lost(Broker *broker, Client *client) {
    timer_arm(&broker->timers, &client->forget, broker->now_ms + broker->limits.client_memory_ms,
              on_forget);
    DL_APPEND2(broker->clients.lost, client, lost_prev, lost_next);
    if (++broker->clients.n_lost > CLIENTS_LOST_MAX)
        client_free(broker, broker->clients.lost);
}

void session_free(Session *session) {
    if (session->peer)
        session->peer->session = NULL;
    id_map_deinit(&session->calls);
    id_map_deinit(&session->requests);
    id_map_deinit(&session->pulls);
    id_map_deinit(&session->gathers);
    free(session);
}

static void tell_up(Session *session) {
    char address[CONNECTION_ADDRESS_MAX];

    event_raise(session->broker, EVENT_SESSION_UP,
                &(broker_events_session_up){.session = session->number,
                                            .name = session->name,
                                            .user = session->user ? session->user->name : "",
                                            .address = peer_address(session->peer, address)});
}

static void tell_down(const Session *session) {
    event_raise(session->broker, EVENT_SESSION_DOWN,
                &(broker_events_session_down){
                    .session = session->number,
                    .name = session->name,
                    .user = session->user ? session->user->name : "",
                    .reason = session->end_reason ? session->end_reason : "draining",
                    .age_ms = (int64_t)(session->broker->now_ms - session->since_ms)});
}

/* Removes the session from all rooms. Frees it, unless it has calls that end in later turns. */
static void session_leave(Session *session) {
    Broker *broker = session->broker;
    Client *client = session->client;

    session->ending = true;
    session_left(session);
    if (event_is_watched(broker, EVENT_SESSION_DOWN))
        tell_down(session);
    if (client->session == session)
        client->session = NULL;
    rooms_session_gone(broker, session);
    if (!client->session) {
        if (session->said_bye)
            client_free(broker, client);
        else
            client_lost(broker, client);
    }
    log_debug("a session has ended: session=%u name='%s'", session->number, session->name);
    session_set_user(session, NULL);
    session->client = NULL;
    session->decisions = decisions_free(session->decisions);
    walks_pass(broker->walks, session, session->next);
    DL_DELETE(broker->sessions.first, session);
    broker->sessions.n--;
    broker->budget.bytes[BUDGET_CONNECTIONS] -= session->memory;
    if (!session->has_calls)
        session_free(session);
}

void sessions_turn_end(Broker *broker) {
    while (broker->sessions.ending) {
        Session *session = broker->sessions.ending;

        broker->sessions.ending = session->next_ending;
        session_leave(session);
    }
}

bool sessions_peer_gone(Broker *broker, Peer *peer) {
    Session *session = peer->session;

    if (!session)
        return true;
    if (!session->ending) {
        peer_log(broker, LOG_LEVEL_INFO, "a connection was lost: session=%u name='%s'",
                 session->number, session->name);
        session_end(session, NULL);
    }
    /* The caller frees the peer next, so the session cannot wait for the end of the turn. */
    sessions_turn_end(broker);
    return !peer->session;
}

void sessions_free(Broker *broker) {
    Session *session, *next;
    Client *client, *next_client;

    broker->sessions.ending = NULL;
    DL_FOREACH_SAFE(broker->sessions.first, session, next) {
        session_leave(session);
    }
    HASH_ITER(hh, broker->clients.by_id, client, next_client) {
        client_free(broker, client);
    }
}

/* ---- HELLO ---- */

/*
 * True: the connection is refused. A client belongs to the user that made it. Another user that has
 * learned the id of the client must not get its subscriptions, its jobs and the ids of its pushes.
 */
static bool is_refused(Broker *broker, Peer *peer, const User *user, Client *client) {
    char text[160], address[CONNECTION_ADDRESS_MAX];
    const Quota *quota;

    if (!user)
        return false;
    if (client && client->user && strcmp(client->user->name, user->name) != 0) {
        snprintf(text, sizeof(text),
                 "the client id of this HELLO belongs to another user than '%s'", user->name);
        peer_refuse(broker, peer, "ferry.PermissionDenied", text);
        return true;
    }
    HASH_FIND_STR(broker->quotas.by_name, user->name, quota);
    if (user->limits.connections > 0 && quota && quota->n_sessions >= user->limits.connections &&
        !(client && client->session)) {
        snprintf(text, sizeof(text), "the user '%s' already has %u connections (max_connections)",
                 user->name, quota->n_sessions);
        peer_log(broker, LOG_LEVEL_WARNING, "a connection is refused: peer=%s problem='%s'",
                 peer_address(peer, address), text);
        peer_tell_refused(broker, address, text);
        peer_fault(broker, peer, "ferry.Full", text);
        return true;
    }
    return false;
}

static Client *client_of(Broker *broker, Span id) {
    Client *client;

    HASH_FIND(hh, broker->clients.by_id, id.data, WIRE_TOKEN, client);
    if (client)
        return client;
    client = calloc(1, sizeof(*client));
    if (!client)
        return NULL;
    memcpy(client->id, id.data, WIRE_TOKEN);
    HASH_ADD(hh, broker->clients.by_id, id, WIRE_TOKEN, client);
    if (!hash_added(client)) {
        free(client);
        return NULL;
    }
    broker->budget.bytes[BUDGET_CONNECTIONS] += CLIENT_MEMORY;
    return client;
}

int client_of_origin(Session *session, Span id, Client **ret) {
    Broker *broker = session->broker;
    Client *client;

    HASH_FIND(hh, broker->clients.by_id, id.data, WIRE_TOKEN, client);
    if (client && session->user && client->user &&
        strcmp(client->user->name, session->user->name) != 0)
        return -EACCES;
    if (!client && !budget_allows(&broker->budget, CLIENT_MEMORY))
        return -ENOBUFS;
    if (!client) {
        client = client_of(broker, id);
        if (!client)
            return -ENOMEM;
        client->user = user_ref(session->user);
    }
    if (!client->session) {
        client_found(broker, client);
        client_lost(broker, client);
    }
    *ret = client;
    return 0;
}

static void write_limits(Buffer *to, const Limits *limits, const char *cluster) {
    const struct {
        const char *name;
        uint64_t value;
    } told[] = {
        {"max_batch", WIRE_BATCH_MAX},
        {"max_body", limits->max_body},
        {"max_connections", limits->max_connections},
        {"max_names", limits->max_names},
        {"max_calls", limits->max_calls},
        {"max_waiting_calls", limits->max_waiting_calls},
        {"max_subscriptions", limits->max_subscriptions},
        {"max_serves", limits->max_serves},
        {"max_pulls", limits->max_pulls},
        {"max_slots", limits->max_slots},
        {"max_unconfirmed", limits->max_unconfirmed},
        {"max_subscriber_bytes", limits->max_subscriber_bytes},
        {"max_session_bytes", limits->max_session_bytes},
        {"max_total_bytes", limits->max_total_bytes},
        {"max_transfer_bytes", limits->max_transfer_bytes},
        {"max_replay", limits->max_replay},
        {"max_queue_jobs", limits->max_queue_jobs},
        {"max_queue_bytes", limits->max_queue_bytes},
        {"max_attempts", limits->max_attempts},
    };

    write_map(to, (cluster != NULL) + sizeof(told) / sizeof(*told));
    if (cluster) {
        write_text(to, "cluster");
        write_text(to, cluster);
    }
    for (size_t i = 0; i < sizeof(told) / sizeof(*told); i++)
        write_pair(to, told[i].name, told[i].value);
}

static void send_welcome(Session *session, const Buffer *held) {
    Broker *broker = session->broker;
    CLEANUP(buffer_deinit) Buffer limits = {0};
    Message welcome = {
        .op = OP_WELCOME,
        .welcome.version = WIRE_PROTOCOL,
        .welcome.broker = span_of(broker->id, WIRE_TOKEN),
        .welcome.epoch = broker->epoch,
        .welcome.bytes = WIRE_CREDIT,
    };

    write_limits(&limits, &broker->limits, broker->cluster);
    welcome.welcome.limits = span_of(limits.data, limits.len);
    welcome.welcome.held = span_of(held->data, held->failed ? 0 : held->len);
    peer_put(session->peer, LANE_CONTROL, &welcome, NULL);
}

static void set_name(Session *session, Span text) {
    size_t len;

    snprintf(session->name, sizeof(session->name), "%s", shown(text));
    /* The broker sends the name to others as UTF-8: cut it between two characters. */
    for (len = strlen(session->name); !text_is_utf8(session->name, len);)
        session->name[--len] = '\0';
}

/* False: the broker does not accept this HELLO, and has refused the connection. */
static bool check_hello(Broker *broker, Peer *peer, const Message *message) {
    if (message->hello.version_min > WIRE_PROTOCOL || message->hello.version_max < WIRE_PROTOCOL)
        peer_refuse(broker, peer, "ferry.Unsupported", "HELLO: this broker speaks only version 1");
    else if (message->hello.client.len != WIRE_TOKEN)
        peer_refuse(broker, peer, "ferry.Protocol", "HELLO: client must have 16 bytes");
    else if (message->hello.group.len != 0 && message->hello.group.len != WIRE_TOKEN)
        peer_refuse(broker, peer, "ferry.Protocol", "HELLO: group must have 16 bytes");
    else if (broker->draining)
        peer_fault(broker, peer, "ferry.Draining", "this broker is shutting down");
    else
        return true;
    return false;
}

void session_hello(Broker *broker, Peer *peer, const Message *message) {
    CLEANUP(buffer_deinit) Buffer held = {0};
    Session *session;
    Client *client;
    User *user;

    if (session_user_of(broker, peer, &user) < 0) {
        peer_refuse(broker, peer, "ferry.PermissionDenied",
                    "the connection's key belongs to no user any more");
        return;
    }
    if (!check_hello(broker, peer, message))
        return;
    HASH_FIND(hh, broker->clients.by_id, message->hello.client.data, WIRE_TOKEN, client);
    if (user && client && !client->session && client->user &&
        !rights_user(broker->rights, client->user->name)) {
        /* The user of this client is gone, so no session can resume it. */
        client_free(broker, client);
        client = NULL;
    }
    if (is_refused(broker, peer, user, client))
        return;
    /* If the client has come back before the broker noticed that its old connection is lost, end
     * the old session first. If the old session has said BYE, the record of its client is freed
     * with it, and the client gets a new one. */
    if (client && client->session) {
        session_end(client->session, "replaced");
        sessions_turn_end(broker);
    }
    if (!budget_allows(&broker->budget, CLIENT_MEMORY + session_memory(user))) {
        peer_fault(broker, peer, "ferry.Full",
                   "the broker's max_memory is used up: try again later");
        return;
    }
    session = calloc(1, sizeof(*session));
    client = session ? client_of(broker, message->hello.client) : NULL;
    if (!client) {
        free(session);
        peer_fault(broker, peer, "ferry.OutOfMemory", "the broker is out of memory");
        return;
    }
    client_found(broker, client);

    session->broker = broker;
    session->client = client;
    session->peer = peer;
    if (session_set_user(session, user) < 0) {
        free(session);
        client_lost(broker, client);
        peer_fault(broker, peer, "ferry.OutOfMemory", "the broker is out of memory");
        return;
    }
    user_unref(client->user);
    client->user = user_ref(user);
    session->number = ++broker->sessions.last_number;
    session->since_ms = broker->now_ms;
    client->session = session;
    peer->session = session;
    session_credit(session, message->hello.bytes);
    set_name(session, message->hello.text);
    session->has_group = message->hello.group.len > 0;
    if (session->has_group)
        memcpy(session->group, message->hello.group.data, WIRE_TOKEN);
    DL_APPEND(broker->sessions.first, session);
    broker->sessions.n++;
    session->memory = session_memory(user);
    broker->budget.bytes[BUDGET_CONNECTIONS] += session->memory;
    rooms_session_begun(broker, session, message, &held);
    send_welcome(session, &held);
    if (event_is_watched(broker, EVENT_SESSION_UP))
        tell_up(session);
    log_debug("a session has begun: session=%u name='%s'", session->number, session->name);
}

void sessions_drain(Broker *broker) {
    broker->draining = true;
    for (Session *session = broker->sessions.first; session; session = session->next)
        if (session->has_group && !session->ending &&
            peer_put(session->peer, LANE_CALLS, &(Message){.op = OP_LEAVE}, NULL) == 0) {
            session->is_to_leave = true;
            broker->sessions.n_to_leave++;
        }
}

/* A socket without room has a batch of answers, if no other messages wait for it. */
bool sessions_are_answered(const Broker *broker) {
    for (const Session *session = broker->sessions.first; session; session = session->next) {
        const Outbox *out = &session->peer->out;

        if (!session->ending && (out->lanes[LANE_CALLS].bytes > 0 || out->transfers ||
                                 (session->peer->is_full && out->lanes[LANE_BULK].bytes == 0)))
            return false;
    }
    return true;
}

void session_left(Session *session) {
    session->broker->sessions.n_to_leave -= session->is_to_leave;
    session->is_to_leave = false;
}
