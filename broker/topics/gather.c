/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Questions: a question is a PUBLISH that collects answers until its window ends. Each subscription
 * gets the question under a number of its own; only the session of the subscription may answer it,
 * once.
 */

#include <stdlib.h>
#include <utlist.h>

#include "base/container.h"
#include "broker/topics/topics-private.h"

enum {
    WINDOW_MAX_MS = 60000,
    ENDED_SLICE = 512 /* unanswered questions that one turn forgets */
};

/* A question as one subscription gets it. */
struct Asked {
    Gather *gather;
    Session *session;
    uint64_t reply;
    Asked *prev, *next;                 /* in gather->asked */
    Asked *session_prev, *session_next; /* in session->asked */
};

struct Gather {
    Topics *topics;
    Session *session; /* the session that asks; NULL: the gather has ended, and its questions are
                       * being forgotten */
    uint64_t id;      /* the id of its PUBLISH */
    Timer window;
    Asked *asked; /* questions that are not answered yet */
    uint64_t n_answers;
    bool asking;              /* the question is being sent: the gather must not end before that is
                               * done */
    Gather *prev, *following; /* in topics->ended */
};

static void asked_free(Asked *asked) {
    Gather *gather = asked->gather;
    Topics *topics = gather->topics;

    id_map_take(&topics->replies, asked->reply);
    DL_DELETE(gather->asked, asked);
    DL_DELETE2(asked->session->asked, asked, session_prev, session_next);
    asked->session->n_asked--;
    topics->broker->budget.bytes[BUDGET_TOPICS] -= sizeof(*asked);
    free(asked);
}

static void gather_free(Gather *gather) {
    if (!gather->session)
        /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): links that utlist set */
        DL_DELETE2(gather->topics->ended, gather, prev, following);
    gather->topics->broker->budget.bytes[BUDGET_TOPICS] -= sizeof(*gather);
    free(gather);
}

/* Ends the gather. A hundred thousand questions may be unanswered: they are forgotten in slices. */
static void gather_end(Gather *gather) {
    timer_disarm(&gather->topics->broker->timers, &gather->window);
    gather->session = NULL;
    DL_APPEND2(gather->topics->ended, gather, prev, following);
    if (!gather->asked)
        gather_free(gather);
}

void gathers_go_on(Topics *topics) {
    for (unsigned n = 0; n < ENDED_SLICE && topics->ended; n++) {
        Gather *gather = topics->ended;

        asked_free(gather->asked);
        if (!gather->asked)
            gather_free(gather);
    }
}

/* OK takes the lane of the answers, so that it comes after them. */
static void finish(Gather *gather) {
    session_ok(gather->session, LANE_BULK, gather->id, gather->n_answers);
    id_map_take(&gather->session->gathers, gather->id);
    gather_end(gather);
}

static void finish_if_done(Gather *gather) {
    if (gather->asked || gather->asking)
        return;
    if (gather->session)
        finish(gather);
    else
        gather_free(gather);
}

static void on_window(Timer *timer, void *ctx) {
    (void)ctx;
    finish(container_of(timer, Gather, window));
}

/* ---- asking ---- */

bool gather_is_allowed(const Publication *publication, uint64_t n) {
    const Broker *broker = publication->topics->broker;
    const Limits *limits = &broker->limits;
    const Message *message = publication->message;
    Session *session = publication->session;
    uint64_t bytes = sizeof(Gather) + n * sizeof(Asked);

    if (message->id == 0)
        session_error(session, 0, "ferry.InvalidArgument",
                      "PUBLISH: a question (flag 2) needs an id");
    else if (message->publish.window_ms < 1 || message->publish.window_ms > WINDOW_MAX_MS)
        session_error(session, message->id, "ferry.InvalidArgument",
                      "PUBLISH: window_ms is %llu, but must be 1 to 60000",
                      (unsigned long long)message->publish.window_ms);
    else if (id_map_get(&session->gathers, message->id))
        session_fault(session, "PUBLISH: another question of this session has the id %llu",
                      (unsigned long long)message->id);
    else if (broker->draining)
        session_error(session, message->id, "ferry.Draining", "the broker is shutting down");
    else if (session->gathers.n >= limits->max_calls)
        session_error(session, message->id, "ferry.Overloaded",
                      "the session already has %u open questions (max_calls)", limits->max_calls);
    else if (!broker_may_store(broker, bytes))
        session_error(session, message->id, "ferry.Full",
                      "the broker is full (max_total_bytes): try again later");
    else
        return true;
    return false;
}

bool gather_begin(Publication *publication) {
    const Message *message = publication->message;
    Session *session = publication->session;
    Broker *broker = publication->topics->broker;
    Gather *gather = calloc(1, sizeof(*gather));

    if (!gather || id_map_put(&session->gathers, message->id, gather) < 0) {
        free(gather);
        session_error(session, message->id, "ferry.OutOfMemory", "the broker is out of memory");
        return false;
    }
    gather->topics = publication->topics;
    gather->session = session;
    gather->id = message->id;
    gather->asking = true;
    broker->budget.bytes[BUDGET_TOPICS] += sizeof(*gather);
    timer_arm(&broker->timers, &gather->window, broker->now_ms + message->publish.window_ms,
              on_window);
    publication->gather = gather;
    return true;
}

void gather_asked_all(Gather *gather) {
    gather->asking = false;
    finish_if_done(gather);
}

uint64_t gather_ask(Gather *gather, Subscription *subscription) {
    Topics *topics = gather->topics;
    Session *session = subscription->session;
    Asked *asked;

    /* A session that has ten thousand subscriptions and never answers would collect millions of
     * questions. */
    if (session->n_asked >= topics->broker->limits.max_calls)
        return 0;
    asked = calloc(1, sizeof(*asked));
    if (!asked || id_map_put(&topics->replies, ++topics->last_reply, asked) < 0) {
        free(asked);
        return 0;
    }
    *asked = (Asked){.gather = gather, .session = session, .reply = topics->last_reply};
    DL_APPEND(gather->asked, asked);
    DL_APPEND2(session->asked, asked, session_prev, session_next);
    session->n_asked++;
    topics->broker->budget.bytes[BUDGET_TOPICS] += sizeof(*asked);
    return asked->reply;
}

void gather_lost(Topics *topics, uint64_t reply) {
    Asked *asked = id_map_get(&topics->replies, reply);

    if (asked) {
        Gather *gather = asked->gather;

        asked_free(asked);
        finish_if_done(gather);
    }
}

/* ---- answers ---- */

void topics_answer(Topics *topics, Session *session, const Message *message, const void *block) {
    Asked *asked = id_map_get(&topics->replies, message->answer.reply);
    Gather *gather;

    /* The answer is late, a second one, or from the wrong session. */
    if (!asked || asked->session != session || !asked->gather->session) {
        session->n_dropped++;
        topics->broker->stats.late_answers++;
        return;
    }
    gather = asked->gather;
    gather->n_answers++;
    asked_free(asked);

    Message answer = message_forward(OP_ANSWER, 0, message);

    answer.answer.reply = gather->id;
    answer.answer.session = session->number;
    answer.answer.text = span_text(session->name);
    session_send(gather->session, LANE_BULK, &answer, block);
    finish_if_done(gather);
}

void gather_session_gone(Topics *topics, Session *session) {
    Gather *gather;
    size_t pos = 0;

    while ((gather = id_map_next(&session->gathers, &pos)))
        gather_end(gather);
    id_map_deinit(&session->gathers);
    while (session->asked)
        gather_lost(topics, session->asked->reply);
}
