/* SPDX-License-Identifier: Apache-2.0 */
/* Kills process groups that outlive this process. See keeper.h. */

#include "clients/cli/run/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
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

    if (keeper_fd >= 0 && keeper_parent == getpid())
        return true;
    if (pipe2(ends, O_CLOEXEC) < 0)
        return false;
    pid = fork();
    if (pid == 0)
        keep(ends[0]);
    close(ends[0]);
    if (pid < 0) {
        close(ends[1]);
        return false;
    }
    keeper_fd = ends[1];
    keeper_parent = getpid();
    return true;
}

void keeper_add(pid_t group) {
    if (start_keeper())
        (void)!write(keeper_fd, &group, sizeof(group));
}

void keeper_remove(pid_t group) {
    group = -group;
    if (keeper_fd >= 0)
        (void)!write(keeper_fd, &group, sizeof(group));
}
