/* SPDX-License-Identifier: Apache-2.0 */
/* Kills process groups that outlive this process. See keeper.h. */

#include "clients/cli/run/keeper.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { GROUPS_MAX = 65536 }; /* the maximum number of slots of a worker or server */

static int keeper_fd = -1;
static pid_t keeper_parent; /* the process that has started the keeper */

static void forget(pid_t *groups, unsigned *n, pid_t group) {
    for (unsigned i = 0; i < *n; i++)
        if (groups[i] == group) {
            groups[i] = groups[--*n];
            return;
        }
}

/* The keeper. The process has threads when it forks, so only async-signal-safe functions follow. */
_Noreturn static void keep(int fd) {
    static pid_t groups[GROUPS_MAX];
    unsigned n = 0;
    sigset_t all;
    pid_t group;
    ssize_t r;

    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    setsid(); /* Ctrl-C goes to the commands and their parent */
    (void)!write(fd, "", 1);
    /* The sockets and pipes of the parent must close when it dies. */
    if (fd > 0)
        close_range(0, (unsigned)fd - 1, 0);
    close_range((unsigned)fd + 1, UINT_MAX, 0);
    while ((r = read(fd, &group, sizeof(group))) == (ssize_t)sizeof(group) ||
           (r < 0 && errno == EINTR)) {
        if (r < 0)
            continue;
        if (group < 0)
            forget(groups, &n, -group);
        else if (n < GROUPS_MAX)
            groups[n++] = group;
    }
    while (n > 0)
        kill(-groups[--n], SIGKILL);
    _exit(0);
}

/* Starts the keeper of this process, unless it runs already. */
static bool start_keeper(void) {
    int ends[2];
    pid_t pid;
    char byte;

    if (keeper_fd >= 0 && keeper_parent == getpid())
        return true;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return false;
    pid = fork();
    if (pid == 0)
        keep(ends[0]);
    close(ends[0]);
    /* Until it has left the group of this process, a signal to the group would end it, too. */
    if (pid < 0 || read(ends[1], &byte, 1) != 1) {
        close(ends[1]);
        return false;
    }
    keeper_fd = ends[1];
    keeper_parent = getpid();
    return true;
}

/* The child of vfork(): this process waits, and they share the memory. Returns a negative errno. */
static int become(const KeptProgram *program, bool is_kept) {
    static const int changed[] = {SIGPIPE, SIGINT, SIGTERM, SIGHUP};
    pid_t group = getpid();
    sigset_t none;

    setpgid(0, 0);
    if (is_kept)
        (void)!write(keeper_fd, &group, sizeof(group));
    for (size_t i = 0; i < sizeof(changed) / sizeof(*changed); i++)
        sigaction(changed[i], &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (dup2(program->in, 0) == 0 && (program->out < 0 || dup2(program->out, 1) == 1) &&
        dup2(program->err, 2) == 2)
        execve(program->path, program->arguments, program->environment);
    return -errno;
}

/* With posix_spawn() this process would tell the keeper, after the program has begun; it may be
 * killed in between. fork() takes milliseconds. */
int keeper_spawn(const KeptProgram *program, pid_t *ret_group) {
    bool is_kept = start_keeper();
    volatile int r = 0;
    sigset_t all, before;
    pid_t pid;

    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before); /* a handler must not run in the child */
    pid = vfork(); /* NOLINT(clang-analyzer-security.insecureAPI.vfork): as posix_spawn() does */
    if (pid == 0) {
        r = become(program, is_kept); /* NOLINT(clang-analyzer-unix.Vfork): only system calls */
        _exit(127);
    }
    if (pid < 0)
        r = -errno;
    sigprocmask(SIG_SETMASK, &before, NULL);
    if (pid > 0 && r < 0) {
        waitpid(pid, NULL, 0);
        keeper_remove(pid);
    }
    if (r == 0)
        *ret_group = pid;
    return r;
}

void keeper_remove(pid_t group) {
    group = -group;
    if (keeper_fd >= 0)
        (void)!write(keeper_fd, &group, sizeof(group));
}
