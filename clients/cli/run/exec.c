/* SPDX-License-Identifier: Apache-2.0 */
/* Shell commands in the loop. See exec.h. */

#include "clients/cli/run/exec.h"

#include <ctype.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utlist.h>

#include "base/container.h"
#include "base/text.h"
#include "clients/cli/run/keeper.h"

extern char **environ;

enum { READ_SIZE = 64 * 1024 };

/* This process's end of a pipe, in the loop. */
typedef struct End {
    Watch watch;
    Exec *exec;
} End;

struct Exec {
    Loop *loop;
    ExecFn fn;
    void *ctx;
    pid_t pid;
    End in, out, err, process; /* fd -1: closed */
    Timer kill_timer;
    ferry_bytes input;
    size_t fed, max_output;
    Buffer output;
    char reason[EXEC_REASON_MAX + 64];
    size_t reason_len;
    char cut[4]; /* the begin of a character, not printed yet */
    size_t n_cut;
    bool show_errors, too_much, cancelled;
    Exec *prev, *next; /* in the list of running commands */
};

static Exec *running;

/* ---- starting ---- */

static void close_pair(int pair[2]) {
    for (int i = 0; i < 2; i++)
        if (pair[i] >= 0)
            close(pair[i]);
}

typedef struct Pipes {
    int in[2], out[2], err[2];
} Pipes;

static void pipes_closep(Pipes *pipes) {
    close_pair(pipes->in);
    close_pair(pipes->out);
    close_pair(pipes->err);
}

static int pipes_open(Pipes *pipes) {
    if (pipe2(pipes->in, O_CLOEXEC) < 0 || pipe2(pipes->out, O_CLOEXEC) < 0 ||
        pipe2(pipes->err, O_CLOEXEC) < 0)
        return -errno;
    /* Only the ends of this process are non-blocking: the command expects ordinary pipes. */
    fcntl(pipes->in[1], F_SETFL, O_NONBLOCK);
    fcntl(pipes->out[0], F_SETFL, O_NONBLOCK);
    fcntl(pipes->err[0], F_SETFL, O_NONBLOCK);
    return 0;
}

static void environment_freep(char ***environment) {
    for (char **at = *environment; at && *at; at++)
        free(*at);
    free(*environment);
}

static bool is_overridden(const char *pair, const ExecOptions *options) {
    for (size_t i = 0; i < options->n_variables; i++) {
        size_t n = strlen(options->variables[i].name);

        if (strncmp(pair, options->variables[i].name, n) == 0 && pair[n] == '=')
            return true;
    }
    return false;
}

/* Makes the environment of the command: this process's environment without the variables of an
 * outer `ferry`, then the new variables. */
static char **environment_new(const ExecOptions *options) {
    CLEANUP(environment_free) char **made = NULL;
    size_t n = 0, i = 0;

    while (environ[n])
        n++;
    made = calloc(n + options->n_variables + 1, sizeof(char *));
    if (!made)
        return NULL;
    for (char **at = environ; *at; at++)
        if (strncmp(*at, "FERRY_HEADER_", 13) != 0 && !is_overridden(*at, options) &&
            !(made[i++] = strdup(*at)))
            return NULL;
    for (size_t v = 0; v < options->n_variables; v++)
        if (asprintf(&made[i++], "%s=%s", options->variables[v].name, options->variables[v].value) <
            0) {
            made[i - 1] = NULL;
            return NULL;
        }
    return steal(&made);
}

static int spawn(Exec *exec, const ExecOptions *options, const Pipes *pipes) {
    CLEANUP(environment_free) char **environment = environment_new(options);
    char *argv[] = {"sh", "-c", (char *)options->command, NULL};

    if (!environment)
        return -ENOMEM;
    return keeper_spawn(
        &(KeptProgram){"/bin/sh", argv, environment, pipes->in[0], pipes->out[1], pipes->err[1]},
        &exec->pid);
}

/* ---- its life ---- */

static void end_close(End *end) {
    if (end->watch.fd < 0)
        return;
    loop_unwatch(end->exec->loop, &end->watch);
    close(end->watch.fd);
    end->watch.fd = -1;
}

static void on_in(Watch *watch, uint32_t events) {
    Exec *exec = ((End *)watch)->exec;
    const char *data = exec->input.data;
    ssize_t n = 0;

    (void)events;
    if (exec->fed < exec->input.len) {
        n = write(watch->fd, data + exec->fed, exec->input.len - exec->fed);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
    }
    /* EPIPE: the command does not read all of its input, which is not an error. */
    exec->fed = n < 0 ? exec->input.len : exec->fed + (size_t)n;
    if (exec->fed == exec->input.len)
        end_close(&exec->in);
}

/* Reads once, so that one command does not delay the others. all: reads until the pipe is empty. */
static void take_output(Exec *exec, bool all) {
    while (exec->out.watch.fd >= 0) {
        uint8_t *to = buffer_reserve(&exec->output, READ_SIZE);
        ssize_t n = to ? read(exec->out.watch.fd, to, READ_SIZE) : 0;

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n > 0)
            exec->output.len += (size_t)n;
        if (exec->output.len > exec->max_output || !to) {
            exec->too_much = true;
            kill(-exec->pid, SIGKILL);
            n = 0;
        }
        if (n <= 0)
            end_close(&exec->out);
        else if (!all)
            return;
    }
}

static void keep_reason(Exec *exec, const char *text, size_t len) {
    size_t room = EXEC_REASON_MAX, drop;

    if (len > room) {
        text += len - room;
        len = room;
    }
    drop = exec->reason_len + len > room ? exec->reason_len + len - room : 0;
    memmove(exec->reason, exec->reason + drop, exec->reason_len - drop);
    memcpy(exec->reason + exec->reason_len - drop, text, len);
    exec->reason_len += len - drop;
}

/* Prints text whose first n_cut bytes are missing: a read may end inside of a character. */
static void show_errors(Exec *exec, char *text, size_t len) {
    size_t whole;

    memcpy(text, exec->cut, exec->n_cut);
    whole = text_whole_len(text, len);
    exec->n_cut = len - whole;
    memcpy(exec->cut, text + whole, exec->n_cut);
    text_print_safe(stderr, text, whole);
}

static void take_errors(Exec *exec, bool all) {
    char text[4096];

    while (exec->err.watch.fd >= 0) {
        size_t held = exec->n_cut;
        ssize_t n = read(exec->err.watch.fd, text + held, sizeof(text) - held);

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n <= 0) {
            end_close(&exec->err);
            return;
        }
        keep_reason(exec, text + held, (size_t)n);
        if (exec->show_errors)
            show_errors(exec, text, held + (size_t)n);
        if (!all)
            return;
    }
}

static void on_out(Watch *watch, uint32_t events) {
    (void)events;
    take_output(((End *)watch)->exec, false);
}

static void on_err(Watch *watch, uint32_t events) {
    (void)events;
    take_errors(((End *)watch)->exec, false);
}

/* The reason is text without a newline at its end; if the command printed nothing, it is the exit
 * status. */
static const char *finish_reason(Exec *exec, int wait_status) {
    char *text = exec->reason;
    size_t start = 0, len = exec->reason_len;

    if (WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == 0 && !exec->too_much)
        return "";
    while (len > 0 && isspace((unsigned char)text[len - 1]))
        len--;
    /* The cut at the front may be inside a character. */
    while (start < len && ((unsigned char)text[start] & 0xC0) == 0x80)
        start++;
    text[len] = '\0';
    if (exec->too_much)
        sprintf(text, "the command printed more than %zu bytes", exec->max_output);
    else if (exec->cancelled && len == start)
        strcpy(text, "cancelled");
    else if (len == start && WIFSIGNALED(wait_status))
        sprintf(text, "killed by signal %d (%s)", WTERMSIG(wait_status),
                strsignal(WTERMSIG(wait_status)));
    else if (len == start)
        sprintf(text, "exit status %d", WEXITSTATUS(wait_status));
    else
        text += start;
    return text;
}

/* Call this after waitpid() for the process. */
static void ended(Exec *exec) {
    keeper_remove(exec->pid);
    DL_DELETE(running, exec);
    exec->pid = 0;
}

static bool is_running(pid_t pid) {
    Exec *exec;

    DL_SEARCH_SCALAR(running, exec, pid, pid);
    return exec != NULL;
}

/* As process 1, as in a container, this process inherits the orphans of its commands, and waits for
 * them. */
static void reap_orphans(void) {
    siginfo_t info = {0};

    while (getpid() == 1 && waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           info.si_pid > 0 && !is_running(info.si_pid)) {
        waitpid(info.si_pid, NULL, WNOHANG);
        info.si_pid = 0;
    }
}

static void on_exited(Watch *watch, uint32_t events) {
    Exec *exec = ((End *)watch)->exec;
    ExecResult result = {.output = &exec->output};
    int status = 0;

    (void)events;
    if (waitpid(exec->pid, &status, WNOHANG) != exec->pid)
        return;
    /* All output is in the pipes by now. Do not read to end of file: a child of the command may
     * hold the pipes open for ever. */
    take_output(exec, true);
    take_errors(exec, true);
    ended(exec);
    reap_orphans();
    result.status = WIFEXITED(status) && !exec->too_much ? WEXITSTATUS(status) : -1;
    result.reason = finish_reason(exec, status);
    exec->fn(exec, &result, exec->ctx);
    exec_free(exec);
}

static int end_watch(Exec *exec, End *end, int *fd, uint32_t events,
                     void (*fn)(Watch *watch, uint32_t events)) {
    *end = (End){{*fd, fn}, exec};
    *fd = -1;
    return loop_watch(exec->loop, &end->watch, events);
}

int exec_start(Loop *loop, const ExecOptions *options, Exec **ret) {
    CLEANUP(pipes_close) Pipes pipes = {{-1, -1}, {-1, -1}, {-1, -1}};
    CLEANUP(exec_free) Exec *exec = calloc(1, sizeof(*exec));
    int r = exec ? pipes_open(&pipes) : -ENOMEM, fd;

    if (!exec)
        return r;
    exec->loop = loop;
    exec->in.watch.fd = exec->out.watch.fd = exec->err.watch.fd = exec->process.watch.fd = -1;
    if (r < 0)
        return r;
    exec->fn = options->fn;
    exec->ctx = options->ctx;
    exec->input = options->input;
    exec->max_output = options->max_output ? options->max_output : EXEC_OUTPUT_MAX;
    exec->show_errors = options->show_errors;
    r = spawn(exec, options, &pipes);
    if (r < 0) {
        exec->pid = 0;
        return r;
    }
    DL_APPEND(running, exec);
    loop->on_child = reap_orphans;
    fd = pidfd_open(exec->pid, 0);
    if (fd < 0)
        return -errno;
    r = end_watch(exec, &exec->process, &fd, EPOLLIN, on_exited);
    if (r == 0)
        r = end_watch(exec, &exec->in, &pipes.in[1], EPOLLOUT, on_in);
    if (r == 0)
        r = end_watch(exec, &exec->out, &pipes.out[0], EPOLLIN, on_out);
    if (r == 0)
        r = end_watch(exec, &exec->err, &pipes.err[0], EPOLLIN, on_err);
    if (r < 0)
        return r;
    *ret = steal(&exec);
    return 0;
}

static void on_kill_timer(Timer *timer, void *ctx) {
    Exec *exec = container_of(timer, Exec, kill_timer);

    (void)ctx;
    if (exec->pid > 0)
        kill(-exec->pid, SIGKILL);
}

void exec_cancel(Exec *exec) {
    if (exec->cancelled || exec->pid <= 0)
        return;
    exec->cancelled = true;
    kill(-exec->pid, SIGTERM);
    loop_arm(exec->loop, &exec->kill_timer, EXEC_KILL_MS, on_kill_timer);
}

Exec *exec_free(Exec *exec) {
    if (!exec)
        return NULL;
    if (timer_armed(&exec->kill_timer))
        loop_disarm(exec->loop, &exec->kill_timer);
    end_close(&exec->in);
    end_close(&exec->out);
    end_close(&exec->err);
    end_close(&exec->process);
    if (exec->pid > 0) {
        kill(-exec->pid, SIGKILL);
        waitpid(exec->pid, NULL, 0);
        ended(exec);
    }
    buffer_deinit(&exec->output);
    free(exec);
    return NULL;
}

const char *exec_header_name(const char *header, char *to, size_t size) {
    size_t n = (size_t)snprintf(to, size, "FERRY_HEADER_");

    for (; *header && n + 1 < size; header++)
        to[n++] = isalnum((unsigned char)*header) ? (char)toupper((unsigned char)*header) : '_';
    to[n] = '\0';
    return to;
}
