/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a command on this machine: its three descriptors to and from the caller. */

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shell-server.h"

enum { PIECE = 16384, TURN_MS = 5 };

typedef struct Child {
    pid_t pid;        /* of the child and of its process group */
    int in, out, err; /* the server's ends of the pipes; -1: closed */
} Child;

static void shut(int *fd) {
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* 0, or a negative errno. */
static int start(Child *child, char **words) {
    static char *const environment[] = {"PATH=/usr/bin:/bin", "LC_ALL=C.UTF-8", NULL};
    int pipes[3][2] = {{-1, -1}, {-1, -1}, {-1, -1}}, r = 0;
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t every, none;

    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    for (int i = 0; i < 3 && r == 0; i++) {
        r = pipe2(pipes[i], O_CLOEXEC) < 0 ? errno : 0;
        if (r == 0)
            r = posix_spawn_file_actions_adddup2(&actions, pipes[i][i > 0], i);
    }
    sigfillset(&every);
    sigemptyset(&none);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF |
                                              POSIX_SPAWN_SETSIGMASK);
    posix_spawnattr_setsigdefault(&attributes, &every);
    posix_spawnattr_setsigmask(&attributes, &none);
    if (r == 0)
        r = posix_spawn_file_actions_addclosefrom_np(&actions, 3);
    if (r == 0)
        r = posix_spawnp(&child->pid, words[0], &actions, &attributes, words, environment);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    for (int i = 0; i < 3; i++)
        shut(&pipes[i][i > 0]);
    child->in = pipes[0][1];
    child->out = pipes[1][0];
    child->err = pipes[2][0];
    if (r == 0)
        fcntl(child->in, F_SETFL, O_NONBLOCK);
    return -r;
}

/* Writes input to the child. It is not an error if the child has stopped reading. */
static int feed(Child *child, Relay *relay) {
    int r = relay_fetch(relay);
    ssize_t n;

    if (r < 0)
        return r;
    if (r == 0) {
        if (relay->input_ended)
            shut(&child->in);
        return 0;
    }
    if (child->in < 0) {
        relay->at = relay->input->len;
        return 0;
    }
    n = write(child->in, (const char *)relay->input->data + relay->at,
              relay->input->len - relay->at);
    if (n > 0)
        relay->at += (size_t)n;
    else if (n < 0 && errno != EAGAIN)
        shut(&child->in);
    return 0;
}

static int take(int *fd, Relay *relay, bool is_err) {
    char piece[PIECE];
    ssize_t n = read(*fd, piece, sizeof(piece));

    if (n <= 0)
        shut(fd);
    return n > 0 ? relay_put(relay, is_err, piece, (size_t)n) : 0;
}

/* Copies input and output until both outputs have ended. */
static int attend(Child *child, Relay *relay) {
    int r = 0;

    while (r == 0 && (child->out >= 0 || child->err >= 0)) {
        struct pollfd fds[2] = {{child->out, POLLIN, 0}, {child->err, POLLIN, 0}};

        poll(fds, 2, TURN_MS);
        r = relay_look(relay);
        if (r == 0)
            r = feed(child, relay);
        if (r == 0 && fds[0].revents)
            r = take(&child->out, relay, false);
        if (r == 0 && fds[1].revents)
            r = take(&child->err, relay, true);
    }
    return r;
}

/* Waits for the end, which may come after its output. */
static int await(Child *child, Relay *relay, int *ret_status) {
    int r = 0;

    shut(&child->in);
    while (r == 0 && waitpid(child->pid, ret_status, WNOHANG) == 0) {
        poll(NULL, 0, TURN_MS);
        r = relay_look(relay);
    }
    if (r == 0)
        child->pid = 0;
    return r;
}

static int report(Relay *relay, int status) {
    const int32_t code = WEXITSTATUS(status), signal = WTERMSIG(status);
    bool killed = WIFSIGNALED(status);
    const char *name = sigabbrev_np(signal);
    char text[64];

    if (killed)
        snprintf(text, sizeof(text), "killed by SIG%s", name ? name : "?");
    else
        snprintf(text, sizeof(text), "exit status %d", code);
    return relay_put_exit(relay,
                          &(shell_exit){killed ? NULL : &code, killed ? &signal : NULL, text});
}

static int attend_to_the_end(ferry_request *request, Child *child, Relay *relay) {
    int status = 0, r = attend(child, relay);

    if (r == 0)
        r = await(child, relay, &status);
    if (r == 0)
        r = report(relay, status);
    if (child->pid > 0) {
        kill(-child->pid, SIGKILL); /* and all processes that it has started */
        waitpid(child->pid, NULL, 0);
    }
    shut(&child->in);
    shut(&child->out);
    shut(&child->err);
    return r < 0 ? relay_fail(relay, r) : shell_run_return(request);
}

int run_here(ferry_request *request, const char *command, const ferry_list_string *arguments,
             int32_t limit_ms, void *ctx) {
    Child child = {0, -1, -1, -1};
    Allowed allowed;
    Relay relay;
    char **words;
    int r = relay_begin(&relay, request, RELAY_RUN, limit_ms);

    (void)ctx;
    if (r < 0)
        return ferry_request_fail(request, r, NULL);
    allowed_load(&allowed);
    words = allowed_words(request, &allowed, command, arguments, &r);
    if (words && words[0]) {
        r = start(&child, words);
        if (r < 0)
            r = shell_throw_not_started(request, &(shell_not_started){command, -r, strerror(-r)});
        else
            r = attend_to_the_end(request, &child, &relay);
    } else if (words) {
        r = throw_not_allowed(request, &allowed, command, "the command has no words");
    }
    free(words);
    allowed_free(&allowed);
    relay_end(&relay);
    return r;
}
