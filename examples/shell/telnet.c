/* SPDX-License-Identifier: Apache-2.0 */
/* Telnet, as a state machine that waits for prompts. It prints all bytes that it sends unencrypted.
 */

#include <arpa/telnet.h>
#include <netdb.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dial.h"
#include "shell-server.h"

enum { SAID_MAX = 256, HEARD_MAX = 65536, PIECE = 2048, SPARE_MS = 300 };

typedef struct Talk {
    ferry_request *request;
    int fd;
    size_t n, n_heard;
    shell_said said[SAID_MAX];
    char heard[HEARD_MAX]; /* all received text, without options */
    size_t from;           /* where the search for the next prompt begins */
    int error;             /* errno; 0: the host hung up */
} Talk;

static int note(Talk *talk, bool by_us, const void *bytes, size_t len) {
    char *copy = talk->n < SAID_MAX ? malloc(len) : NULL;

    if (!copy)
        return -ENOMEM;
    memcpy(copy, bytes, len);
    talk->said[talk->n++] = (shell_said){by_us, ferry_bytes_of(copy, len)};
    return 0;
}

static int say(Talk *talk, const void *bytes, size_t len) {
    int r = send_all(talk->fd, bytes, len);

    return r < 0 ? r : note(talk, true, bytes, len);
}

static int say_line(Talk *talk, const char *line) {
    char text[600];
    int len = snprintf(text, sizeof(text), "%.500s\r\n", line);

    return say(talk, text, (size_t)len);
}

/* Refuses each option that the host offers or asks for: RFC 854. Text is added to what was heard.
 */
static int listen_to(Talk *talk, const unsigned char *bytes, size_t len) {
    int r = note(talk, false, bytes, len);

    for (size_t i = 0; r == 0 && i < len; i++) {
        if (bytes[i] != IAC) {
            if (talk->n_heard < HEARD_MAX - 1 && bytes[i] != '\0')
                talk->heard[talk->n_heard++] = (char)bytes[i];
        } else if (i + 2 < len && (bytes[i + 1] == DO || bytes[i + 1] == WILL)) {
            unsigned char answer[3] = {IAC, bytes[i + 1] == DO ? WONT : DONT, bytes[i + 2]};

            r = say(talk, answer, sizeof(answer));
            i += 2;
        } else {
            i += i + 1 < len && (bytes[i + 1] == DONT || bytes[i + 1] == WONT) ? 2 : 1;
        }
    }
    talk->heard[talk->n_heard] = '\0';
    return r;
}

/* Waits for one of two texts: returns 1 or 2. 0: the host closed the connection. Or a negative
 * errno. */
static int expect(Talk *talk, const char *text, const char *other) {
    unsigned char piece[PIECE];
    const char *at;
    ssize_t n;
    int r;

    for (;;) {
        if ((at = strstr(talk->heard + talk->from, text)) ||
            (other && (at = strstr(talk->heard + talk->from, other)))) {
            r = strncmp(at, text, strlen(text)) == 0 ? 1 : 2;
            talk->from = (size_t)(at - talk->heard) + strlen(r == 1 ? text : other);
            return r;
        }
        /* A quarter of the remaining time is kept for the answer. */
        errno = ETIMEDOUT;
        n = poll(&(struct pollfd){talk->fd, POLLIN, 0}, 1,
                 (int)(ferry_request_left_ms(talk->request) / 4 * 3)) > 0
                ? recv(talk->fd, piece, sizeof(piece), 0)
                : -1;
        if (n <= 0) {
            talk->error = n < 0 ? (errno == EAGAIN ? ETIMEDOUT : errno) : 0;
            return n < 0 ? -talk->error : 0;
        }
        r = listen_to(talk, piece, (size_t)n);
        if (r < 0)
            return r;
    }
}

static int throw_not_expected(ferry_request *request, const Talk *talk, const char *expected) {
    return shell_throw_not_expected(
        request, &(shell_not_expected){
                     expected, ferry_bytes_of(talk->heard + talk->from, talk->n_heard - talk->from),
                     talk->error ? strerror(talk->error) : "the host hung up"});
}

/* Logs in, runs the command, leaves. */
static int converse(ferry_request *request, Talk *talk, const char *user, const char *password,
                    const char *command) {
    const char *wanted = "login:";
    int r = expect(talk, wanted, NULL);

    if (r == 1 && say_line(talk, user) == 0)
        r = expect(talk, wanted = "assword:", NULL);
    if (r == 1 && say_line(talk, password) == 0)
        r = expect(talk, wanted = "$ ", "incorrect");
    if (r == 2)
        return shell_throw_login_refused(
            request, &(shell_login_refused){user, {0, NULL}, "the host says: incorrect"});
    if (r == 1 && say_line(talk, command) == 0)
        r = expect(talk, wanted = "$ ", NULL);
    if (r != 1)
        return throw_not_expected(request, talk, wanted);
    if (say_line(talk, "exit") == 0)
        expect(talk, "\001",
               NULL); /* this text never comes: read until the host closes the connection */
    return shell_telnet_return(request, &(shell_list_said){talk->n, talk->said});
}

int run_by_telnet(ferry_request *request, const char *host, int32_t port, const char *user,
                  const char *password, const char *command, void *ctx) {
    uint32_t left_ms = ferry_request_left_ms(request);
    char text[16];
    Talk *talk;
    Dial dial;
    int r;

    (void)ctx;
    snprintf(text, sizeof(text), "%d", port);
    if (port < 1 || port > UINT16_MAX || !dial_allowed("SHELL_ALLOW", host, text))
        return throw_not_allowed(request, NULL, host, "this server may not connect to that host");
    if (!dial_host(&dial, AF_UNSPEC, host, text,
                   left_ms > 2 * SPARE_MS ? left_ms - SPARE_MS : left_ms / 2)) {
        int error = dial.n_attempts > 0 ? dial.attempts[dial.n_attempts - 1].error : 0;

        return shell_throw_unreachable(
            request,
            &(shell_unreachable){host, error, dial.gai ? gai_strerror(dial.gai) : strerror(error)});
    }
    talk = calloc(1, sizeof(*talk));
    if (talk) {
        talk->request = request;
        talk->fd = dial.fd;
        r = converse(request, talk, user, password, command);
        for (size_t i = 0; i < talk->n; i++)
            free((void *)(uintptr_t)talk->said[i].bytes.data);
    } else {
        r = -ENOMEM;
    }
    free(talk);
    close(dial.fd);
    return r;
}
