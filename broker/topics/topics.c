/* SPDX-License-Identifier: Apache-2.0 */
/* The topic router as a whole: new, free. See topics.h. */

#include "broker/topics/topics.h"

#include <errno.h>
#include <stdlib.h>

#include "base/container.h"
#include "broker/core/rooms.h"
#include "broker/events/events.h"
#include "broker/topics/topics-private.h"

/* ---- the room ---- */

static Topics *self(const Room *room) {
    return container_of(room, Topics, room);
}

static void on_turn_end(Room *room) {
    topics_publish_events(self(room));
    topics_turn_end(self(room));
    gathers_go_on(self(room));
}

static uint64_t on_next_ms(const Room *room) {
    return self(room)->ended || events_wait(self(room)->broker) ? 0 : UINT64_MAX;
}

static void on_session_gone(Room *room, Session *session) {
    topics_session_gone(self(room), session);
}

static void on_client_gone(Room *room, Client *client) {
    topics_client_gone(self(room), client);
}

static const RoomOps room_ops = {
    .turn_end = on_turn_end,
    .next_ms = on_next_ms,
    .session_gone = on_session_gone,
    .client_gone = on_client_gone,
};

/* ---- new and free ---- */

int topics_new(Topics **ret, Broker *broker) {
    Topics *topics = calloc(1, sizeof(*topics));

    if (!topics)
        return -ENOMEM;
    topics->broker = broker;
    topics->generation = 1;
    topics->last_reply = broker->first_id;
    room_open(broker, &topics->room, &room_ops);
    if (topic_tree_init(&topics->tree) < 0 || topic_tree_init(&topics->names) < 0) {
        topics_free(topics);
        return -ENOMEM;
    }
    *ret = topics;
    return 0;
}

Topics *topics_free(Topics *topics) {
    if (!topics)
        return NULL;
    if (topics->tree.root)
        subscriptions_free(topics);
    while (topics->ended)
        gathers_go_on(topics);
    topics_forget_all(topics);
    topic_rules_free(topics);
    topic_tree_deinit(&topics->tree);
    topic_tree_deinit(&topics->names);
    id_map_deinit(&topics->replies);
    free(topics->scratch);
    room_close(topics->broker, &topics->room);
    free(topics);
    return NULL;
}
