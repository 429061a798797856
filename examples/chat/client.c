/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A member of a room: prints the events of the room, says the lines of standard input, and leaves
 * at its end.
 *
 *     chat-client ROOM NAME
 */

#include <inttypes.h>
#include <poll.h>
#include <unistd.h>

#include "chat.h"

/* ---- events of the room ---- */

static void on_line(const ferry_message *message, void *ctx) {
    FERRY_AUTO(ferry_free) chat_line *line = NULL;
    int64_t *last = ctx;

    if (chat_line_unpack(message->body, &line, NULL) < 0)
        return;
    if (*last > 0 && line->number != *last + 1)
        printf("(%" PRId64 " lines missing)\n", line->number - *last - 1);
    *last = line->number;
    if (line->kind == CHAT_KIND_SAID)
        printf("%3" PRId64 " <%s> %s\n", line->number, line->who, line->text);
    else
        printf("%3" PRId64 " * %s %s\n", line->number, line->who,
               line->kind == CHAT_KIND_JOINED ? "came"
               : line->kind == CHAT_KIND_LEFT ? "left"
                                              : "vanished");
    fflush(stdout);
}

/* A member's stream has no items: when it changes, it has ended. */
static void on_stream(ferry_stream *stream, void *ctx) {
    FERRY_AUTO(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    chat_welcome *unexpected = NULL;
    int r = chat_join_next(stream, &unexpected, &error);

    ferry_free(unexpected);
    if (r == -EAGAIN || r > 0)
        return;
    if (r < 0)
        ferry_error_print(&error, stderr);
    *(bool *)ctx = true;
}

/* ---- the messages of this member ---- */

/* Says each complete line. False: the input has ended. */
static bool read_input(ferry_client *client, ferry_uuid ticket, ferry_error *error) {
    static char text[1002];
    static size_t len;
    ssize_t n = read(STDIN_FILENO, text + len, sizeof(text) - 1 - len);
    char *end;
    int64_t number;

    if (n <= 0)
        return false;
    len += (size_t)n;
    text[len] = '\0';
    while ((end = strchr(text, '\n')) || len == sizeof(text) - 1) {
        size_t used = end ? (size_t)(end - text) + 1 : len;

        if (end)
            *end = '\0';
        if (*text && chat_say(client, ticket, text, &number, error) < 0)
            ferry_error_print(error, stderr);
        len -= used;
        memmove(text, text + used, len + 1);
    }
    return true;
}

static int stay(ferry_client *client, ferry_stream *join, ferry_uuid ticket, ferry_error *error) {
    struct pollfd fds[] = {{ferry_fd(client), POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};
    bool over = false;
    int r = ferry_stream_watch(join, on_stream, &over);

    while (r == 0 && !over && poll(fds, 2, -1) >= 0) {
        if (fds[1].revents && !read_input(client, ticket, error))
            return chat_leave(client, ticket, error);
        r = ferry_process(client, error);
    }
    return r;
}

int main(int argc, char **argv) {
    FERRY_AUTO(ferry_close) ferry_client *client = NULL;
    FERRY_AUTO(ferry_stream_close) ferry_stream *join = NULL;
    FERRY_AUTO(ferry_free) chat_welcome *welcome = NULL;
    FERRY_AUTO(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    const char *room = argc > 1 ? argv[1] : "lobby", *name = argc > 2 ? argv[2] : "guest";
    int64_t last = 0;
    char topic[300];
    int r;

    snprintf(topic, sizeof(topic), "%s%s", CHAT_TOPIC, room);
    r = ferry_open(NULL, &(ferry_options){.name = name}, &client, &error);
    if (r == 0)
        r = chat_join(client, room, name, &join, &error);
    if (r == 0)
        r = chat_join_next(join, &welcome, &error);
    if (r > 0) /* the last lines of the room, then every new one */
        r = ferry_subscribe(client, topic, &(ferry_subscribe_options){.last = CHAT_HISTORY},
                            on_line, &last, NULL, &error);
    if (r == 0 && welcome) {
        printf("You are in '%s', with %zu others\n", room, welcome->members.n - 1);
        fflush(stdout);
        r = stay(client, join, welcome->ticket, &error);
    }
    if (r < 0)
        ferry_error_print(&error, stderr);
    return r < 0;
}
