/* SPDX-License-Identifier: Apache-2.0 */

/* Subscriptions and their messages. See subscribe.h. */

#include "clients/c/topics/subscribe.h"

#include <assert.h>
#include <stdlib.h>

#include "base/block.h"
#include "base/container.h"
#include "clients/c/brokers/brokers.h"
#include "clients/c/core/header-text.h"
#include "clients/c/core/loop.h"
#include "clients/c/core/session.h"
#include "clients/c/resend/registration.h"
#include "clients/c/topics/confirm.h"
#include "rpc/wire/name.h"

typedef struct Subscriber {
    Registration registration;
    ferry_message_fn fn;
    void *ctx;
    uint64_t seq;    /* of the last message, including dropped ones */
    uint64_t missed; /* messages missed since the last one */
    uint64_t resume; /* its id in the previous session */
    bool unheard; /* no message has arrived in this session: seq may belong to the previous one */
    uint32_t last, overflow;
    uint64_t backlog;  /* 0: the broker's limit */
    uint64_t consumed; /* see credit_return() */
    size_t topic_len;
    char topic[NAME_MAX_LEN +
               1]; /* of the last message; usually the next message has the same topic */
    char pattern[NAME_MAX_LEN + 1];
    char group[NAME_MAX_LEN + 1];
} Subscriber;

/* ---- messages, lent to a callback ---- */

typedef struct Lent {
    BlockHeader header;
    ferry_message message;
    Core *core; /* NULL: a copy made by ferry_keep() */
    uint64_t reply, session;
    Span headers;
    HeaderText *text;
} Lent;

static const Lent *lent_of(const ferry_message *message) {
    return container_of(message, Lent, message);
}

static_assert(offsetof(Lent, message) == sizeof(BlockHeader), "a message follows its header");

static const void *keep_message(const void *block) {
    const Lent *lent = lent_of(block);
    const ferry_bytes body = lent->message.body;
    size_t topic_len = strlen(lent->message.topic);
    size_t from_len = lent->message.from ? strlen(lent->message.from) + 1 : 0;
    size_t fixed = sizeof(Lent) - sizeof(BlockHeader);
    const void *inner = body.block ? ferry_keep(body.block) : NULL;
    ferry_message *copy;
    Lent *kept;
    char *at;

    if (body.block && !inner)
        return NULL;
    copy = block_new_around(fixed + header_text_size(lent->headers) + topic_len + 1 + from_len +
                                (inner ? 0 : body.len),
                            inner);
    if (!copy) {
        ferry_free(inner);
        return NULL;
    }
    kept = container_of(copy, Lent, message);
    kept->message = lent->message;
    kept->core = NULL;
    kept->reply = 0;
    at = (char *)copy + fixed;
    kept->text = header_text_init(at, lent->headers);
    at += header_text_size(lent->headers);
    memcpy(at, lent->message.topic, topic_len + 1);
    kept->message.topic = at;
    at += topic_len + 1;
    if (from_len > 0)
        kept->message.from = memcpy(at, lent->message.from, from_len);
    at += from_len;
    if (!inner) {
        if (body.len > 0)
            memcpy(at, body.data, body.len);
        kept->message.body = ferry_bytes_of(at, body.len);
    }
    return copy;
}

void message_lend(Core *core, ferry_message_fn fn, void *ctx, const ferry_message *message,
                  uint64_t reply, Span headers) {
    Lent lent;

    block_init_lent(&lent.header, keep_message);
    lent.message = *message;
    lent.core = core;
    lent.reply = reply;
    lent.session = core->session;
    lent.headers = headers;
    lent.text = NULL;
    fn(&lent.message, ctx);
    if (lent.text)
        free(lent.text);
}

static const HeaderText *text_of(const ferry_message *message) {
    Lent *lent = (Lent *)(uintptr_t)lent_of(message);

    if (!lent->text && lent->headers.len > 0)
        lent->text = header_text_new(lent->headers);
    return lent->text;
}

const char *ferry_message_header(const ferry_message *message, const char *name) {
    const HeaderText *text = message && name ? text_of(message) : NULL;

    return text ? header_text_find(text, name) : NULL;
}

const char *ferry_message_header_after(const ferry_message *message, const char *name) {
    const HeaderText *text = message ? text_of(message) : NULL;

    return text ? header_text_after(text, name) : NULL;
}

int ferry_message_answer(const ferry_message *message, ferry_bytes answer) {
    const Lent *lent;
    int r;

    if (!message)
        return -EINVAL;
    lent = lent_of(message);
    if (!lent->core || lent->reply == 0)
        return -EINVAL;
    if (lent->core->closed)
        return -ECANCELED;
    if (lent->session != lent->core->session)
        return -ECONNRESET;
    if (answer.len > link_max_body(lent->core->link))
        return -EMSGSIZE;
    r = link_put(
        lent->core->link, LANE_BULK,
        &(Message){.op = OP_ANSWER, .answer.reply = lent->reply, .body = span_bytes(answer)},
        answer.block);
    if (r == 0)
        core_sent(lent->core);
    return r;
}

/* ---- arriving ---- */

static void on_topic_message(Core *core, const Message *message, const void *block, bool later) {
    Subscriber *sub = id_map_get(&core->topics->subscriptions, message->message.sub);
    ferry_message m;

    if (later) {
        if (!deferred_put(core, message, block) && sub)
            credit_return(core, message->message.sub, &sub->consumed, message->body.len);
        return;
    }
    if (!sub)
        return;
    if (message->name.len != sub->topic_len ||
        memcmp(message->name.data, sub->topic, sub->topic_len) != 0) {
        if (message->name.len > NAME_MAX_LEN)
            return;
        memcpy(sub->topic, message->name.data, message->name.len);
        sub->topic_len = message->name.len;
        sub->topic[sub->topic_len] = '\0';
    }
    m.topic = sub->topic;
    m.seq = message->message.seq;
    m.missed = sub->missed;
    if (m.missed != FERRY_MISSED_UNKNOWN && message->message.seq > sub->seq + 1)
        m.missed += message->message.seq - sub->seq - 1;
    m.body = bytes_span(message->body, block);
    m.from = NULL;
    m.from_session = 0;
    sub->seq = message->message.seq;
    sub->unheard = false;
    sub->missed = 0;
    registration_enter(&sub->registration);
    message_lend(core, sub->fn, sub->ctx, &m, message->message.reply, message->headers);
    /* Another session may have begun during the callback, with a new id and new credit. */
    if (sub->registration.id == message->message.sub)
        credit_return(core, message->message.sub, &sub->consumed, message->body.len);
    registration_leave(core, &sub->registration);
}

static void on_gap(Core *core, const Message *message, const void *block, bool later) {
    Subscriber *sub = id_map_get(&core->topics->subscriptions, message->gap.sub);
    ferry_error error = FERRY_ERROR_INIT;

    if (later) {
        deferred_put(core, message, block);
        return;
    }
    if (!sub)
        return;
    sub->unheard = false;
    if (message->gap.count == GAP_UNKNOWN) {
        sub->missed = FERRY_MISSED_UNKNOWN;
        sub->seq = 0;
    } else {
        sub->seq += message->gap.count;
        if (sub->missed != FERRY_MISSED_UNKNOWN)
            sub->missed += message->gap.count;
    }
    if (message->gap.count == GAP_UNKNOWN)
        error_set(&error, "ferry.Missed", "an unknown number of messages for '%s' was missed",
                  sub->pattern);
    else
        error_set(&error, "ferry.Missed", "%llu messages for '%s' were missed",
                  (unsigned long long)message->gap.count, sub->pattern);
    event_note(core, FERRY_EVENT_MISSED, &error);
    ferry_error_clear(&error);
}

/* ---- subscribing ---- */

static int announce(Core *core, Registration *registration, uint64_t id) {
    Subscriber *sub = (Subscriber *)registration;
    CLEANUP(buffer_deinit) Buffer options = {0};
    static const char *const overflows[] = {"drop-newest", "drop-oldest", "disconnect"};
    bool has_seen = sub->resume > 0 && !sub->unheard;
    unsigned n = 1 + (*sub->group != '\0') + (sub->last > 0) + (sub->resume > 0) + has_seen +
                 (sub->overflow > 0) + (sub->backlog > 0);
    Message message = {.op = OP_SUBSCRIBE, .id = id, .name = span_text(sub->pattern)};
    int r;

    write_map(&options, n);
    write_text(&options, "credit");
    write_uint(&options, WIRE_CONSUMER_CREDIT);
    if (*sub->group) {
        write_text(&options, "group");
        write_text(&options, sub->group);
    }
    if (sub->last > 0) {
        write_text(&options, "last");
        write_uint(&options, sub->last);
    }
    if (sub->resume > 0) {
        write_text(&options, "resume");
        write_uint(&options, sub->resume);
    }
    if (has_seen) {
        write_text(&options, "seen");
        write_uint(&options, sub->seq);
    }
    if (sub->overflow > 0) {
        write_text(&options, "overflow");
        write_text(&options, overflows[sub->overflow]);
    }
    if (sub->backlog > 0) {
        write_text(&options, "backlog");
        write_uint(&options, sub->backlog);
    }
    if (options.failed)
        return -ENOMEM;
    message.subscribe.options = span_of(options.data, options.len);
    /* Retained and replayed messages arrive before the answer, so the id must be in the table now.
     */
    r = id_map_put(&core->topics->subscriptions, id, sub);
    if (r < 0)
        return r;
    r = link_put(core->link, LANE_CALLS, &message, NULL);
    if (r < 0) {
        id_map_take(&core->topics->subscriptions, id);
        return r;
    }
    if (sub->resume > 0) {
        id_map_take(&core->topics->subscriptions, sub->resume);
        sub->unheard = true;
    }
    sub->resume = id;
    sub->consumed = 0;
    return 0;
}

static int withdraw(Core *core, Registration *registration, uint64_t id) {
    return link_put(core->link, LANE_CALLS,
                    &(Message){.op = OP_UNSUBSCRIBE, .id = id, .unsubscribe.sub = registration->id},
                    NULL);
}

static void subscription_free(Core *core, Registration *registration) {
    Subscriber *sub = (Subscriber *)registration;

    if (sub->resume > 0)
        id_map_take(&core->topics->subscriptions, sub->resume);
    free(sub);
}

static void heard(Registration *registration) {
    ((Subscriber *)registration)->unheard = false;
}

static int subscription_copy(const Registration *from, ferry_client *member, Registration **ret) {
    const Subscriber *sub = (const Subscriber *)from;
    const ferry_subscribe_options options = {.group = *sub->group ? sub->group : NULL,
                                             .last = sub->last,
                                             .overflow = sub->overflow,
                                             .backlog = sub->backlog};

    return ferry_subscribe(member, sub->pattern, &options, sub->fn, sub->ctx, ret, NULL);
}

static const RegistrationKind subscription_kind = {.announce = announce,
                                                   .withdraw = withdraw,
                                                   .free = subscription_free,
                                                   .copy = subscription_copy,
                                                   .accepted = heard};

static int check(const char *pattern, const ferry_subscribe_options *options, ferry_message_fn fn,
                 ferry_error *reterr) {
    if (!pattern || !fn)
        return error_set(reterr, "ferry.Misuse", "the pattern or the callback is NULL");
    if (!pattern_is_valid(pattern, strnlen(pattern, NAME_MAX_LEN + 1)))
        return error_set(reterr, "ferry.Misuse",
                         "the pattern is not valid: 1 to 255 bytes, dots between tokens, '*' for "
                         "one token, '>' at the end for all further tokens");
    if (!options)
        return 0;
    if (options->group && !name_is_valid(options->group, strnlen(options->group, 256)))
        return error_set(reterr, "ferry.Misuse", "the group's name is not valid: %s",
                         name_problem(options->group, strnlen(options->group, 256)));
    if (options->overflow > FERRY_DISCONNECT)
        return error_set(
            reterr, "ferry.Misuse",
            "overflow must be FERRY_DROP_NEWEST, FERRY_DROP_OLDEST or FERRY_DISCONNECT");
    return reserved_check(options->reserved, sizeof(options->reserved) / sizeof(uint64_t), reterr);
}

typedef struct SubscribeArgs {
    const char *pattern;
    const ferry_subscribe_options *options;
    ferry_message_fn fn;
    void *ctx;
} SubscribeArgs;

static int subscribe_at_one(ferry_client *member, const void *args, ferry_registration **ret,
                            ferry_error *reterr) {
    const SubscribeArgs *one = args;

    return ferry_subscribe(member, one->pattern, one->options, one->fn, one->ctx, ret, reterr);
}

int ferry_subscribe(ferry_client *client, const char *pattern,
                    const ferry_subscribe_options *options, ferry_message_fn fn, void *ctx,
                    ferry_registration **ret, ferry_error *reterr) {
    int r = client_check(client, reterr);
    Subscriber *sub;

    if (r == 0)
        r = check(pattern, options, fn, reterr);
    if (r < 0)
        return r;
    if (brokers_are_several(client))
        return fan_out(client, subscribe_at_one, &(SubscribeArgs){pattern, options, fn, ctx}, ret,
                       reterr);
    sub = calloc(1, sizeof(*sub));
    if (!sub)
        return error_set_code(reterr, -ENOMEM, NULL);
    sub->fn = fn;
    sub->ctx = ctx;
    strcpy(sub->pattern, pattern);
    if (options && options->group)
        strcpy(sub->group, options->group);
    sub->last = options ? options->last : 0;
    sub->overflow = options ? options->overflow : 0;
    sub->backlog = options ? options->backlog : 0;
    r = registration_add(client, &sub->registration, &subscription_kind, reterr);
    if (r < 0) {
        subscription_free(client->core, &sub->registration);
        return r;
    }
    if (ret)
        *ret = &sub->registration;
    return 0;
}

static void free_part(Core *core) {
    records_clear(&core->topics->before_connect);
    id_map_deinit(&core->topics->subscriptions);
}

const Part topics_part = {
    .up = before_connect_up,
    .down = confirms_down,
    .left = confirms_left,
    .is_due = confirms_due,
    .run = confirms_run,
    .is_unconfirmed = confirms_wait,
    .shut = confirms_shut,
    .free = free_part,
    .receivers =
        (const struct Receiver[]){{OP_MESSAGE, on_topic_message}, {OP_GAP, on_gap}, {0, NULL}},
};
