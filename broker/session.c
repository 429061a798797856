/* Who is connected: from HELLO to BYE, and which room gets which message. See broker.h. */

#include <stdarg.h>
#include <stdlib.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "broker/broker.h"
#include "broker/manage.h"
#include "broker/parked.h"
#include "broker/peer-log.h"
#include "broker/queue.h"
#include "broker/service.h"
#include "broker/topic.h"

const char *shown(Span name) {
    static char texts[4][TEXT_ESCAPED_MAX];
    static unsigned turn;

    return text_escape(texts[turn++ % 4], name.data, name.len);
}

/* ---- out ---- */

void session_send(Session *session, Lane lane, const Message *message, const void *block) {
    Broker *broker = session->broker;

    if (session->ending)
        return;
    if (peer_put(session->peer, lane, message, block) < 0) {
        log_error("out of memory, cutting a session: session=%u", session->number);
        session_end(session, NULL);
        return;
    }
    session->n_out++;
    if (session_waiting(session) > broker->limits.max_session_bytes) {
        peer_log(broker, LOG_LEVEL_WARNING,
                 "a peer is too slow, cutting it: session=%u name='%s' waiting=%zu max=%llu",
                 session->number, session->name, session_waiting(session),
                 (unsigned long long)broker->limits.max_session_bytes);
        session_end(session, "slow");
    }
}

void session_ok(Session *session, Lane lane, uint64_t id, uint64_t seq) {
    Message ok;

    if (id == 0)
        return;
    ok.op = OP_OK;
    ok.id = id;
    ok.seq = seq;
    ok.body = (Span){NULL, 0};
    ok.body_transfer = 0;
    ok.passed = (Span){NULL, 0};
    session_send(session, lane, &ok, NULL);
}

static void write_error(Buffer *to, const char *type, const char *text) {
    write_map(to, 2);
    write_text(to, "type");
    write_text(to, type);
    write_text(to, "message");
    write_text(to, text);
}

void session_error(Session *session, uint64_t id, const char *type, const char *format, ...) {
    CLEANUP(buffer_deinit) Buffer error = {0};
    char text[1024];
    va_list args;

    session->broker->stats.errors++;
    if (id == 0)
        return;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    write_error(&error, type, text);
    if (error.failed)
        return;
    session_send(session, LANE_CALLS,
                 &(Message){.op = OP_ERROR, .id = id, .error = span_of(error.data, error.len)},
                 NULL);
}

/* FAULT, and the end of the connection. */
static void fault_peer(Broker *broker, Peer *peer, const char *type, const char *text) {
    CLEANUP(buffer_deinit) Buffer error = {0};

    broker->stats.faults++;
    write_error(&error, type, text);
    if (!error.failed)
        peer_put(peer, LANE_CONTROL,
                 &(Message){.op = OP_FAULT, .error = span_of(error.data, error.len)}, NULL);
    peer_close(peer);
}

/* What a connection begins with is no client's HELLO. */
static void refuse(Broker *broker, Peer *peer, const char *type, const char *problem) {
    char address[CONNECTION_ADDRESS_MAX];

    peer_log(broker, LOG_LEVEL_WARNING,
             "a connection did not begin as a client's does, cutting it: peer=%s problem='%s'",
             peer_address(peer, address), problem);
    fault_peer(broker, peer, type, problem);
}

void session_fault(Session *session, const char *format, ...) {
    char text[512], address[CONNECTION_ADDRESS_MAX];
    va_list args;

    if (session->ending)
        return;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    peer_log(session->broker, LOG_LEVEL_WARNING,
             "a peer broke the protocol, cutting it: session=%u name='%s' peer=%s problem='%s'",
             session->number, session->name, peer_address(session->peer, address), text);
    fault_peer(session->broker, session->peer, "ferry.Protocol", text);
    session_end(session, NULL);
}

void session_end(Session *session, const char *text) {
    if (session->ending)
        return;
    if (text)
        peer_put(session->peer, LANE_CONTROL, &(Message){.op = OP_BYE, .text = span_text(text)},
                 NULL);
    peer_close(session->peer);
    session->ending = true;
    session->next_ending = session->broker->ending;
    session->broker->ending = session;
}

/* ---- the end ---- */

static void client_found(Broker *broker, Client *client) {
    timer_disarm(&broker->timers, &client->forget);
    if (!client->lost_prev)
        return;
    DL_DELETE2(broker->lost, client, lost_prev, lost_next);
    client->lost_prev = NULL;
    broker->n_lost--;
}

static void client_free(Broker *broker, Client *client) {
    topics_client_gone(broker->topics, client);
    queues_client_gone(broker->queues, client);
    client_found(broker, client);
    HASH_DEL(broker->clients, client);
    free(client);
}

static void on_forget(Timer *timer, void *ctx) {
    client_free(ctx, (Client *)((char *)timer - offsetof(Client, forget)));
}

/* It may come back. Strangers could leave a new one a thousand times a second: so many, no more. */
static void client_lost(Broker *broker, Client *client) {
    timer_arm(&broker->timers, &client->forget, broker->now_ms + broker->limits.client_memory_ms,
              on_forget);
    DL_APPEND2(broker->lost, client, lost_prev, lost_next);
    if (++broker->n_lost > CLIENTS_LOST_MAX)
        client_free(broker, broker->lost);
}

static void session_free(Session *session) {
    Broker *broker = session->broker;
    Client *client = session->client;

    session->ending = true;
    parked_clear(session);
    if (client->session == session)
        client->session = NULL;
    services_session_gone(broker->services, session);
    topics_session_gone(broker->topics, session);
    queues_session_gone(broker->queues, session);
    if (!client->session) {
        if (session->said_bye)
            client_free(broker, client);
        else
            client_lost(broker, client);
    }
    log_debug("a session has ended: session=%u name='%s'", session->number, session->name);
    if (session->peer)
        session->peer->session = NULL;
    DL_DELETE(broker->sessions, session);
    broker->n_sessions--;
    id_map_deinit(&session->calls);
    id_map_deinit(&session->requests);
    id_map_deinit(&session->pulls);
    id_map_deinit(&session->gathers);
    free(session);
}

void sessions_turn_end(Broker *broker) {
    while (broker->ending) {
        Session *session = broker->ending;

        broker->ending = session->next_ending;
        session_free(session);
    }
}

void sessions_peer_gone(Broker *broker, Peer *peer) {
    Session *session = peer->session;

    if (!session)
        return;
    if (!session->ending) {
        peer_log(broker, LOG_LEVEL_INFO, "a connection was lost: session=%u name='%s'",
                 session->number, session->name);
        session_end(session, NULL);
    }
    /* The peer is freed as soon as this returns; the session with the turn. */
    sessions_turn_end(broker);
}

void sessions_free(Broker *broker) {
    Session *session, *next;
    Client *client, *next_client;

    broker->ending = NULL;
    DL_FOREACH_SAFE(broker->sessions, session, next) {
        session_free(session);
    }
    HASH_ITER(hh, broker->clients, client, next_client) {
        client_free(broker, client);
    }
}

/* ---- HELLO ---- */

static Client *client_of(Broker *broker, Span id, bool *known) {
    Client *client;

    HASH_FIND(hh, broker->clients, id.data, WIRE_TOKEN, client);
    *known = client != NULL;
    if (client)
        return client;
    client = calloc(1, sizeof(*client));
    if (!client)
        return NULL;
    memcpy(client->id, id.data, WIRE_TOKEN);
    HASH_ADD(hh, broker->clients, id, WIRE_TOKEN, client);
    if (!hash_added(client)) {
        free(client);
        return NULL;
    }
    return client;
}

static void write_limits(Buffer *to, const Limits *limits) {
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

    write_map(to, sizeof(told) / sizeof(*told));
    for (size_t i = 0; i < sizeof(told) / sizeof(*told); i++)
        write_pair(to, told[i].name, told[i].value);
}

static void send_welcome(Session *session, bool resumed) {
    Broker *broker = session->broker;
    CLEANUP(buffer_deinit) Buffer limits = {0};
    Message welcome = {
        .op = OP_WELCOME,
        .version = WIRE_PROTOCOL,
        .token = span_of(session->token, WIRE_TOKEN),
        .broker = span_of(broker->id, WIRE_TOKEN),
        .epoch = broker->epoch,
        .bytes = WIRE_CREDIT,
        .flags = resumed ? WELCOME_RESUMED : 0,
    };

    write_limits(&limits, &broker->limits);
    welcome.limits = span_of(limits.data, limits.len);
    peer_put(session->peer, LANE_CONTROL, &welcome, NULL);
}

static void set_name(Session *session, Span text) {
    size_t len;

    snprintf(session->name, sizeof(session->name), "%s", shown(text));
    /* Others are sent it as text: what was cut must not end within a character. */
    for (len = strlen(session->name); !text_is_utf8(session->name, len);)
        session->name[--len] = '\0';
}

static void hello(Broker *broker, Peer *peer, const Message *message) {
    Session *session;
    Client *client;
    bool known, resumed;

    if (message->version_min > WIRE_PROTOCOL || message->version_max < WIRE_PROTOCOL) {
        refuse(broker, peer, "ferry.Unsupported", "this broker speaks version 1 alone");
        return;
    }
    if (message->client.len != WIRE_TOKEN) {
        refuse(broker, peer, "ferry.Protocol", "HELLO: client must have 16 bytes");
        return;
    }
    if (broker->draining) {
        fault_peer(broker, peer, "ferry.Draining", "this broker is shutting down");
        return;
    }
    /* It came back before its old connection was seen to die. That session ends first: if it had
     * said BYE, the client goes with it and begins anew. */
    HASH_FIND(hh, broker->clients, message->client.data, WIRE_TOKEN, client);
    if (client && client->session) {
        session_end(client->session, "replaced");
        sessions_turn_end(broker);
    }
    session = calloc(1, sizeof(*session));
    client = session ? client_of(broker, message->client, &known) : NULL;
    if (!client) {
        free(session);
        fault_peer(broker, peer, "ferry.OutOfMemory", "out of memory");
        return;
    }
    resumed = known && message->token.len == WIRE_TOKEN &&
              memcmp(client->token, message->token.data, WIRE_TOKEN) == 0;
    client_found(broker, client);

    session->broker = broker;
    session->client = client;
    session->peer = peer;
    session->number = ++broker->last_session_number;
    session->since_ms = broker->now_ms;
    random_bytes(session->token, sizeof(session->token));
    memcpy(client->token, session->token, WIRE_TOKEN);
    client->session = session;
    peer->session = session;
    peer->out.credit = (int64_t)(message->bytes > INT64_MAX / 2 ? INT64_MAX / 2 : message->bytes);
    set_name(session, message->text);
    DL_APPEND(broker->sessions, session);
    broker->n_sessions++;
    send_welcome(session, resumed);
    queues_floor(broker->queues, client, message->floor);
    if (message->held.len > 0)
        queues_held(broker->queues, client, message->held);
    log_debug("a session has begun: session=%u name='%s' resumed=%d", session->number,
              session->name, resumed);
}

/* ---- in ---- */

enum { PONGS_MAX = 16 * 1024 }; /* bytes of answers that wait to be read */

static void control(Session *session, const Message *message) {
    Peer *peer = session->peer;

    switch (message->op) {
    case OP_PING:
        /* PINGs cost nothing to send: a peer that sends them and reads nothing gets no more. */
        if (peer->out.lanes[LANE_CONTROL].bytes > PONGS_MAX)
            break;
        peer_put(peer, LANE_CONTROL, &(Message){.op = OP_PONG, .id = message->id}, NULL);
        break;
    case OP_PONG:
        break;
    case OP_CREDIT:
        if (message->bytes > INT64_MAX / 4 || peer->out.credit > INT64_MAX / 4) {
            session_fault(session, "CREDIT: more than any sender can use");
            break;
        }
        peer->out.credit += (int64_t)message->bytes;
        peer_touch(peer);
        break;
    case OP_BYE:
        session->said_bye = true;
        /* What it said before is still to be done. */
        if (!session->parked)
            session_end(session, NULL);
        break;
    case OP_HELLO:
        session_fault(session, "HELLO comes once");
        break;
    default:
        session_fault(session, "%s is not for the broker", op_name(message->op));
    }
}

/* false: it costs much, and may_wait for its time. */
static bool dispatch(Session *session, const Message *message, const void *block, bool may_wait) {
    Broker *broker = session->broker;

    may_wait = may_wait && !broker->costly_may;
    switch (message->op) {
    case OP_CALL:
        if (message->name.len > 6 && memcmp(message->name.data, "ferry.", 6) == 0) {
            if (may_wait && manage_is_costly(broker))
                return false;
            manage_call(broker, session, message);
        } else
            services_call(broker->services, session, message, block);
        break;
    case OP_OK:
    case OP_ERROR:
        services_answer(broker->services, session, message, block);
        break;
    case OP_PUBLISH:
        topics_publish(broker->topics, session, message, block);
        break;
    case OP_PUSH:
        queues_push(broker->queues, session, message, block);
        break;
    case OP_ACK:
        queues_ack(broker->queues, session, message);
        break;
    case OP_ITEM:
        services_item(broker->services, session, message, block);
        break;
    case OP_END:
        services_end(broker->services, session, message);
        break;
    case OP_MORE:
        services_more(broker->services, session, message);
        break;
    case OP_CANCEL:
        services_cancel(broker->services, session, message);
        break;
    case OP_SERVE:
        services_serve(broker->services, session, message);
        break;
    case OP_UNSERVE:
        services_unserve(broker->services, session, message);
        break;
    case OP_SUBSCRIBE:
        if (may_wait && topics_is_costly(broker->topics, message->name))
            return false;
        topics_subscribe(broker->topics, session, message);
        break;
    case OP_UNSUBSCRIBE:
        topics_unsubscribe(broker->topics, session, message);
        break;
    case OP_ANSWER:
        topics_answer(broker->topics, session, message, block);
        break;
    case OP_PULL:
        queues_pull(broker->queues, session, message);
        break;
    case OP_UNPULL:
        queues_unpull(broker->queues, session, message);
        break;
    case OP_RETRY:
        queues_retry(broker->queues, session, message);
        break;
    case OP_REJECT:
        queues_reject(broker->queues, session, message);
        break;
    case OP_RELEASE:
        queues_release(broker->queues, session, message);
        break;
    case OP_EXTEND:
        queues_extend(broker->queues, session, message);
        break;
    case OP_FORWARD:
        queues_forward(broker->queues, session, message, block);
        break;
    default:
        session_fault(session, "%s is not for the broker", op_name(message->op));
    }
    return true;
}

/* Its body was not taken in: whoever waits for an answer is told. */
static void refuse_large(Session *session, const Message *message, int why) {
    const char *type = "ferry.TooBig", *text;
    char too_big[80];

    snprintf(too_big, sizeof(too_big), "a body is larger than the broker's max_body, %u bytes",
             session->broker->limits.max_body);
    text = too_big;
    if (why == -ENOBUFS) {
        type = "ferry.Full";
        text = "too many large bodies are arriving: the broker's max_transfer_bytes is reached";
    } else if (why == -ENOMEM) {
        type = "ferry.OutOfMemory";
        text = "the broker is out of memory";
    }
    if (message->op == OP_OK || message->op == OP_ITEM)
        services_refuse(session->broker->services, session, message, type, text);
    else
        session_error(session, message->op == OP_ANSWER ? 0 : message->id, type, "%s", text);
}

/* A body that came in PARTs, and one that was refused on the way. */
static void dispatch_large(Session *session, Message *message) {
    const void *block = NULL;
    int r = inbox_body(&session->peer->in, message, &block);

    if (r == -ENOENT)
        session_fault(session, "%s: its body is transfer %llu, which did not arrive",
                      op_name(message->op), (unsigned long long)message->body_transfer);
    else if (r == 0)
        dispatch(session, message, block, false);
    else
        refuse_large(session, message, r);
    ferry_free(block);
}

static bool has_body(unsigned op) {
    return op == OP_CALL || op == OP_OK || op == OP_PUBLISH || op == OP_PUSH || op == OP_ITEM ||
           op == OP_FORWARD || op == OP_ANSWER || op == OP_SERVE;
}

static bool is_control(unsigned op) {
    return op < OP_OK && op != OP_PART;
}

static void take_part(Session *session, const Message *part) {
    int r = inbox_part(&session->peer->in, part);

    /* Too big, or no memory: the message that names it will be told. */
    if (r == -EPROTO)
        session_fault(session, "PART: no transfer has number 0, and %d at once are the most",
                      INBOX_TRANSFERS_MAX);
}

/* By its first message, known or not: later versions' messages cost credit too. */
static bool begins_with_control(Reader reader) {
    uint64_t op = reader_array(&reader) > 0 ? reader_uint(&reader) : 0;

    return op < OP_SKIPPED_FROM && is_control((unsigned)op);
}

bool session_handle(Session *session, Reader *reader, bool of_control) {
    const uint8_t *start = reader->at;
    Message message;
    int r;

    for (; !session->ending && (r = message_read(reader, &message)) != 0; start = reader->at) {
        if (r < 0) {
            session_fault(session, "%s", reader->problem);
            return true;
        }
        session->n_in++;
        if (of_control != is_control(message.op)) {
            session_fault(session, "%s in one batch with %s", op_name(message.op),
                          of_control ? "session control" : "other messages");
            return true;
        }
        if (of_control)
            control(session, &message);
        else if (message.op == OP_PART)
            take_part(session, &message);
        else if (has_body(message.op) && message.body_transfer)
            dispatch_large(session, &message);
        else if (!dispatch(session, &message, NULL, true)) {
            reader->at = start;
            session->n_in--;
            return false;
        }
        if (++session->broker->work >= TURN_WORK && !of_control)
            return reader_left(reader) == 0;
    }
    return true;
}

static void handle_batch(Session *session, Reader *reader, size_t len) {
    bool of_control = begins_with_control(*reader);

    if (!of_control && inbox_charge(&session->peer->in, len) < 0) {
        session_fault(session, "it sent without credit");
        return;
    }
    /* Session control does not wait behind others. */
    if ((of_control || !session->parked) && session_handle(session, reader, of_control))
        return;
    if (!session->ending && parked_add(session, reader) < 0) {
        log_error("out of memory, cutting a session: session=%u", session->number);
        session_end(session, NULL);
    }
}

void sessions_receive(Broker *broker, Peer *peer, const uint8_t *data, size_t len) {
    Message message;
    Reader reader;

    if (batch_open(&reader, data, len) < 0) {
        if (peer->session)
            session_fault(peer->session, "%s", reader.problem);
        else
            refuse(broker, peer, "ferry.Protocol", reader.problem);
        return;
    }
    if (peer->session) {
        handle_batch(peer->session, &reader, len);
        return;
    }
    if (message_read(&reader, &message) <= 0)
        refuse(broker, peer, "ferry.Protocol", reader.problem ? reader.problem : "an empty batch");
    else if (message.op != OP_HELLO)
        refuse(broker, peer, "ferry.NoSession", "HELLO must come first");
    else if (reader.at != reader.end)
        refuse(broker, peer, "ferry.Protocol", "HELLO must be alone in its batch");
    else
        hello(broker, peer, &message);
}
