/* SPDX-License-Identifier: Apache-2.0 */
/* Two hundred members in twenty rooms; ten of them are killed. */

#include <fcntl.h>

#include "chat.h"
#include "examples/stage.h"

enum { ROOMS = 20, MEMBERS = 190, KILLED = 10, LINES = 5 };

typedef struct Member {
    ferry_client *client;
    ferry_stream *join;
    ferry_uuid ticket;
    char room[16], name[16];
    int64_t last;              /* number of the last line seen */
    int lines, gaps, vanished; /* lines of other members; missing numbers; members that crashed */
} Member;

static void on_line(const ferry_message *message, void *ctx) {
    Member *m = ctx;
    chat_line *line = NULL;

    CU_ASSERT_EQUAL_FATAL(chat_line_unpack(message->body, &line, NULL), 0);
    m->gaps += m->last > 0 && line->number != m->last + 1;
    m->last = line->number;
    m->lines += line->kind == CHAT_KIND_SAID;
    m->vanished += line->kind == CHAT_KIND_VANISHED;
    ferry_free(line);
}

static int member_join(Member *m, const TestBroker *broker, int i, ferry_error *error) {
    chat_welcome *welcome = NULL;
    char topic[64];
    int r;

    snprintf(m->room, sizeof(m->room), "room-%d", i % ROOMS);
    snprintf(m->name, sizeof(m->name), "member-%d", i);
    snprintf(topic, sizeof(topic), "%s%s", CHAT_TOPIC, m->room);
    m->client = connect_client(broker);
    r = chat_join(m->client, m->room, m->name, &m->join, error);
    if (r == 0)
        r = chat_join_next(m->join, &welcome, error);
    if (r == 1) {
        m->ticket = welcome->ticket;
        ferry_free(welcome);
        r = ferry_subscribe(m->client, topic, &(ferry_subscribe_options){.last = CHAT_HISTORY},
                            on_line, m, NULL, error);
    }
    return r;
}

/* A member that is a process of its own, to be killed. Its standard input stays open. */
static pid_t start_victim(const TestBroker *broker, int i, int *input) {
    int fds[2] = {-1, -1};
    char room[16], name[16];
    pid_t pid;

    CU_ASSERT_EQUAL(pipe2(fds, O_CLOEXEC), 0);
    snprintf(room, sizeof(room), "room-%d", i % ROOMS);
    snprintf(name, sizeof(name), "victim-%d", i);
    pid = fork();
    if (pid == 0) {
        dup2(fds[0], STDIN_FILENO);
        dup2(open("/dev/null", O_WRONLY), STDOUT_FILENO);
        setenv("FERRY_URL", broker->url, 1);
        execl(getenv("CHAT_CLIENT"), "chat-client", room, name, NULL);
        _exit(127);
    }
    close(fds[0]);
    *input = fds[1];
    return pid;
}

static size_t members_of(ferry_client *client, int room) {
    ferry_list_string *list = NULL;
    char name[16];
    size_t n = 0;

    snprintf(name, sizeof(name), "room-%d", room);
    CU_ASSERT_EQUAL(chat_members(client, name, &list, NULL), 0);
    n = list ? list->n : 0;
    ferry_free(list);
    return n;
}

static size_t members_of_all(ferry_client *client) {
    size_t n = 0;

    for (int room = 0; room < ROOMS; room++)
        n += members_of(client, room);
    return n;
}

static void turns(Member *members, uint64_t ms) {
    uint64_t until_ms = clock_ms() + ms;

    do {
        for (int i = 0; i < MEMBERS; i++)
            ferry_process(members[i].client, NULL);
        usleep(2000);
    } while (clock_ms() < until_ms);
}

/* True when every member has heard all lines of its room. */
static bool all_heard(const Member *members, int lines) {
    for (int i = 0; i < MEMBERS; i++)
        if (members[i].lines < lines)
            return false;
    return true;
}

static void say_all(Member *members) {
    int64_t number;

    for (int i = 0; i < MEMBERS; i++)
        CU_ASSERT_EQUAL(chat_say(members[i].client, members[i].ticket, "hello", &number, NULL), 0);
}

static void presence_is_right_and_no_line_is_lost(void) {
    static Member members[MEMBERS];
    pid_t victims[KILLED];
    int inputs[KILLED], per_room, said = 0;
    uint64_t killed_ms, until_ms, right_after_ms;
    Member late = {0};
    Stage stage;

    stage_open(&stage, chat_start);
    for (int i = 0; i < KILLED; i++)
        victims[i] = start_victim(&stage.broker, i, &inputs[i]);
    for (int i = 0; i < MEMBERS; i++)
        CU_ASSERT_EQUAL_FATAL(member_join(&members[i], &stage.broker, i, &stage.error), 0);
    until_ms = clock_ms() + 120000;
    while (members_of_all(stage.client) < MEMBERS + KILLED && clock_ms() < until_ms)
        turns(members, 20);
    CU_ASSERT_EQUAL(members_of_all(stage.client), MEMBERS + KILLED);

    for (int k = 0; k < LINES; k++)
        say_all(members);
    for (int i = 0; i < KILLED; i++)
        kill(victims[i], SIGKILL);
    killed_ms = clock_ms();
    while (members_of_all(stage.client) > MEMBERS && clock_ms() < killed_ms + 120000)
        usleep(5000);
    right_after_ms = clock_ms() - killed_ms;
    printf("(presence right %llu ms after the kill) ", (unsigned long long)right_after_ms);
    CU_ASSERT_EQUAL(members_of_all(stage.client), MEMBERS);
    for (int i = 0; i < KILLED; i++) {
        waitpid(victims[i], NULL, 0);
        close(inputs[i]);
    }

    say_all(members);
    /* Rooms 0 to 9 have ten members of this process, rooms 10 to 19 nine: each hears all lines of
     * its room. */
    for (until_ms = clock_ms() + 120000;
         clock_ms() < until_ms && !all_heard(members, 9 * (LINES + 1));)
        turns(members, 20);
    turns(members, 100);
    for (int i = 0; i < MEMBERS; i++) {
        per_room = i % ROOMS < MEMBERS % ROOMS ? MEMBERS / ROOMS + 1 : MEMBERS / ROOMS;
        CU_ASSERT_EQUAL(members[i].lines, per_room * (LINES + 1));
        CU_ASSERT_EQUAL(members[i].gaps, 0);
        CU_ASSERT_EQUAL(members[i].vanished, i % ROOMS < KILLED);
        said += members[i].lines;
    }
    printf("(%d lines heard) ", said);

    /* A member that joins later gets the last lines and the line of its own join, without a gap. */
    CU_ASSERT_EQUAL(member_join(&late, &stage.broker, MEMBERS + 20, &stage.error), 0);
    for (until_ms = clock_ms() + 60000; late.last == 0 && clock_ms() < until_ms; usleep(2000))
        ferry_process(late.client, NULL);
    CU_ASSERT(late.lines >= CHAT_HISTORY - 2 && late.gaps == 0);

    ferry_stream_close(late.join);
    ferry_close(late.client);
    for (int i = 0; i < MEMBERS; i++) {
        if (i % 2)
            CU_ASSERT_EQUAL(chat_leave(members[i].client, members[i].ticket, NULL), 0);
        ferry_stream_close(members[i].join);
        ferry_close(members[i].client);
    }
    for (until_ms = clock_ms() + 60000; members_of_all(stage.client) > 0 && clock_ms() < until_ms;)
        usleep(5000);
    CU_ASSERT_EQUAL(members_of_all(stage.client), 0);
    stage_close(&stage);
}

static int try_to_join(Stage *stage, const char *room, const char *name, ferry_stream **stream) {
    chat_welcome *welcome = NULL;
    int r = chat_join(stage->client, room, name, stream, &stage->error);

    if (r == 0)
        r = chat_join_next(*stream, &welcome, &stage->error);
    ferry_free(welcome);
    return r;
}

static void a_refused_member_gets_the_reason(void) {
    ferry_stream *anna = NULL, *other = NULL;
    const ferry_uuid nobody = {{1, 2, 3}};
    int64_t number;
    Stage stage;

    stage_open(&stage, chat_start);
    CU_ASSERT_EQUAL(try_to_join(&stage, "den", "anna", &anna), 1);
    CU_ASSERT_EQUAL(try_to_join(&stage, "den", "anna", &other), -EREMOTEIO);
    CU_ASSERT(chat_name_taken_in(&stage.error) &&
              strcmp(chat_name_taken_in(&stage.error)->name, "anna") == 0);
    other = ferry_stream_close(other);
    CU_ASSERT_EQUAL(try_to_join(&stage, "a.b", "anna", &other), -EREMOTEIO);
    CU_ASSERT(chat_bad_name_in(&stage.error) &&
              strcmp(chat_bad_name_in(&stage.error)->name, "a.b") == 0);
    other = ferry_stream_close(other);
    CU_ASSERT_EQUAL(try_to_join(&stage, "den", "", &other), -EREMOTEIO);
    CU_ASSERT_PTR_NOT_NULL(chat_bad_name_in(&stage.error));
    other = ferry_stream_close(other);
    CU_ASSERT_EQUAL(chat_say(stage.client, nobody, "psst", &number, &stage.error), -EREMOTEIO);
    CU_ASSERT_PTR_NOT_NULL(chat_not_a_member_in(&stage.error));
    CU_ASSERT_EQUAL(chat_leave(stage.client, nobody, &stage.error), -EREMOTEIO);
    ferry_stream_close(anna);
    stage_close(&stage);
}

/* The call and its cancellation reach the broker together, and must be forwarded in this order. */
static void a_member_that_leaves_while_joining_is_absent(void) {
    uint64_t until_ms = clock_ms() + 60000;
    ferry_list_string *list = NULL;
    size_t n = 1;
    Stage stage;

    stage_open(&stage, chat_start);
    ferry_cork(stage.client);
    for (int i = 0; i < 50; i++) {
        ferry_stream *join = NULL;
        char name[16];

        snprintf(name, sizeof(name), "hasty-%d", i);
        CU_ASSERT_EQUAL(chat_join(stage.client, "den", name, &join, &stage.error), 0);
        ferry_stream_close(join);
    }
    CU_ASSERT_EQUAL(ferry_uncork(stage.client, &stage.error), 0);
    do {
        CU_ASSERT_EQUAL(chat_members(stage.client, "den", &list, &stage.error), 0);
        n = list->n;
        list = (ferry_list_string *)ferry_free(list);
    } while (n > 0 && clock_ms() < until_ms);
    CU_ASSERT_EQUAL(n, 0);
    stage_close(&stage);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(a_refused_member_gets_the_reason),
        TEST(a_member_that_leaves_while_joining_is_absent),
        TEST(presence_is_right_and_no_line_is_lost),
        TESTS_END,
    };

    return run_suite("example chat", tests);
}
