/* SPDX-License-Identifier: Apache-2.0 */

/* The rooms: their members, and a topic for each room. */

#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#include "chat.h"
#include "server.h"

enum { NAME_MAX_LEN = 32, LINE_MAX_LEN = 1000, ROOMS_MAX = 1000 };

typedef struct Member Member;
typedef struct Room Room;

struct Member {
    Member *next; /* in the room */
    Room *room;
    ferry_request *join; /* open while the member is in the room */
    ferry_uuid ticket;
    char name[NAME_MAX_LEN + 1];
};

/* An empty room is kept for a while, so that the numbers of its lines continue. */
struct Room {
    Room *next;
    Member *members;
    int32_t n;
    int64_t lines;
    char name[NAME_MAX_LEN + 1];
};

typedef struct Chat {
    ferry_client *client;
    Room *rooms;
    size_t n_rooms;
} Chat;

/* ---- rooms and members ---- */

static bool is_name(const char *name) {
    static const char good[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    size_t len = strlen(name);

    return len >= 1 && len <= NAME_MAX_LEN && strspn(name, good) == len;
}

static Room *room_find(const Chat *chat, const char *name) {
    Room *room = chat->rooms;

    while (room && strcmp(room->name, name) != 0)
        room = room->next;
    return room;
}

static Room *room_new(Chat *chat, const char *name) {
    Room *room = chat->rooms;

    if (chat->n_rooms < ROOMS_MAX) {
        room = calloc(1, sizeof(*room));
        if (!room)
            return NULL;
        room->next = chat->rooms;
        chat->rooms = room;
        chat->n_rooms++;
    }
    /* At the limit of rooms, reuse an empty room. */
    while (room && room->n > 0)
        room = room->next;
    if (room) {
        strcpy(room->name, name);
        room->lines = 0;
    }
    return room;
}

static Member *member_by_name(const Room *room, const char *name) {
    Member *member = room->members;

    while (member && strcmp(member->name, name) != 0)
        member = member->next;
    return member;
}

static Member *member_by_ticket(const Chat *chat, const ferry_uuid *ticket) {
    for (const Room *room = chat->rooms; room; room = room->next)
        for (Member *member = room->members; member; member = member->next)
            if (memcmp(&member->ticket, ticket, sizeof(*ticket)) == 0)
                return member;
    return NULL;
}

/* ---- lines ---- */

/* Publishes a line of a room. A line that could not be sent does not use up a number. */
static int announce(const Chat *chat, Room *room, chat_kind kind, const char *who,
                    const char *text) {
    char topic[sizeof(CHAT_TOPIC) + NAME_MAX_LEN];
    struct timespec now;
    chat_line line = {room->lines + 1, kind, who, text, 0};
    ferry_bytes body;
    int r;

    clock_gettime(CLOCK_REALTIME, &now);
    line.at_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
    snprintf(topic, sizeof(topic), "%s%s", CHAT_TOPIC, room->name);
    r = chat_line_pack(&line, &body, NULL);
    if (r < 0)
        return r;
    r = ferry_publish(chat->client, topic, body, NULL, NULL);
    ferry_free(body.block);
    if (r == 0)
        room->lines++;
    return r;
}

/* Removes the member from the room and announces it. The caller must answer the returned join
 * request. */
static ferry_request *remove_member(const Chat *chat, Member *member, chat_kind kind) {
    ferry_request *join = member->join;
    Room *room = member->room;
    Member **link = &room->members;

    while (*link != member)
        link = &(*link)->next;
    *link = member->next;
    room->n--;
    announce(chat, room, kind, member->name, "");
    free(member);
    return join;
}

/* ---- methods ---- */

static Chat chat; /* global, because `watch` passes only one pointer, the member */

/* The member's stream has changed. A member sends no items, so the stream is broken. */
static void on_lost(ferry_request *join, void *ctx) {
    Member *member = ctx;

    if (ferry_request_cancelled(join))
        ferry_request_fail(remove_member(&chat, member, CHAT_KIND_VANISHED), -ECANCELED, NULL);
}

static int welcome(Member *member) {
    const char *names[CHAT_ROOM_SIZE];
    chat_welcome item = {member->ticket, member->room->lines, {0, names}};

    for (const Member *m = member->room->members; m; m = m->next)
        names[item.members.n++] = m->name;
    return chat_join_yield(member->join, &item);
}

/* Appends a member to the room's list, which is in the order of arrival. */
static Member *member_new(Room *room, const char *name) {
    Member *member = calloc(1, sizeof(*member)), **link = &room->members;

    if (!member || getrandom(&member->ticket, sizeof(member->ticket), 0) < 0) {
        free(member);
        return NULL;
    }
    while (*link)
        link = &(*link)->next;
    *link = member;
    member->room = room;
    room->n++;
    strcpy(member->name, name);
    return member;
}

static int join(ferry_request *request, const char *room_name, const char *name, void *ctx) {
    Room *room = is_name(room_name) && is_name(name) ? room_find(ctx, room_name) : NULL;
    Member *member;
    int r;

    if (!is_name(room_name) || !is_name(name))
        return chat_throw_bad_name(
            request, &(chat_bad_name){is_name(room_name) ? name : room_name,
                                      "a name is 1 to 32 letters, digits, '-' and '_'"});
    if (!room)
        room = room_new(ctx, room_name);
    if (!room)
        return ferry_request_throw(request, "ferry.Full", NULL, "there are %d rooms", ROOMS_MAX);
    if (member_by_name(room, name))
        return chat_throw_name_taken(request, &(chat_name_taken){room_name, name});
    if (room->n == CHAT_ROOM_SIZE)
        return chat_throw_room_full(request, &(chat_room_full){room_name, room->n});
    member = member_new(room, name);
    if (!member)
        return -ENOMEM;
    announce(ctx, room, CHAT_KIND_JOINED, name, "");
    member->join = ferry_request_defer(request);
    r = member->join ? welcome(member) : -ENOMEM;
    if (r == 0)
        r = ferry_request_watch(member->join, on_lost, member);
    if (r < 0)
        remove_member(ctx, member, CHAT_KIND_VANISHED);
    return r;
}

static const chat_not_a_member stranger = CHAT_NOT_A_MEMBER_INIT;

static int say(ferry_request *request, ferry_uuid ticket, const char *text, void *ctx) {
    Member *member = member_by_ticket(ctx, &ticket);
    size_t len = strlen(text);
    int r;

    if (!member)
        return chat_throw_not_a_member(request, &stranger);
    if (len < 1 || len > LINE_MAX_LEN)
        return chat_throw_bad_line(
            request, &(chat_bad_line){len < INT32_MAX ? (int32_t)len : INT32_MAX, LINE_MAX_LEN});
    r = announce(ctx, member->room, CHAT_KIND_SAID, member->name, text);
    return r < 0 ? ferry_request_fail(request, r, NULL)
                 : chat_say_return(request, member->room->lines);
}

static int leave(ferry_request *request, ferry_uuid ticket, void *ctx) {
    Member *member = member_by_ticket(ctx, &ticket);

    if (!member)
        return chat_throw_not_a_member(request, &stranger);
    chat_join_return(remove_member(ctx, member, CHAT_KIND_LEFT));
    return chat_leave_return(request);
}

static int members(ferry_request *request, const char *room_name, void *ctx) {
    const Room *room = room_find(ctx, room_name);
    const char *names[CHAT_ROOM_SIZE];
    ferry_list_string list = {0, names};

    for (const Member *m = room ? room->members : NULL; m; m = m->next)
        names[list.n++] = m->name;
    return chat_members_return(request, &list);
}

static int rooms(ferry_request *request, void *ctx) {
    const char *names[ROOMS_MAX];
    ferry_list_string list = {0, names};

    for (const Room *room = ((const Chat *)ctx)->rooms; room; room = room->next)
        if (room->n > 0)
            names[list.n++] = room->name;
    return chat_rooms_return(request, &list);
}

int chat_start(ferry_client *client, ferry_error *reterr) {
    static const chat_handlers handlers = {
        .join = join, .say = say, .leave = leave, .members = members, .rooms = rooms};

    chat.client = client;
    /* A slot for each member, and some slots for `say`. */
    return chat_serve(client, &handlers, &(ferry_serve_options){.slots = 10000}, &chat, NULL,
                      reterr);
}
