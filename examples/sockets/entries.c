/* SPDX-License-Identifier: Apache-2.0 */
/* The list of this machine's sockets, from /proc/net, with their owners from /proc/PID/fd. */

#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "handlers.h"

enum { ENTRIES_MAX = 4096, TEXT = INET6_ADDRSTRLEN, COMMAND = 32 };

typedef struct Line {
    sockets_entry entry;
    char local[TEXT], remote[TEXT], command[COMMAND];
    sockets_owner owner;
} Line;

typedef struct List {
    Line *lines;
    size_t n;
} List;

/* ---- addresses and lines of /proc/net ---- */

/* Hexadecimal, each 32 bits in the machine's byte order. */
static void read_address(const char *hex, char text[TEXT]) {
    bool six = strlen(hex) == 32;
    uint32_t words[4] = {0};

    for (int i = 0; i < (six ? 4 : 1); i++)
        sscanf(hex + 8 * i, "%8x", &words[i]);
    inet_ntop(six ? AF_INET6 : AF_INET, words, text, TEXT);
}

static bool read_line(const char *text, sockets_kind kind, Line *line) {
    static const char *const timers[] = {"off", "on", "keepalive", "timewait", "probe"};
    unsigned local_port, remote_port, state, timer, retries, uid;
    char local[40], remote[40];
    unsigned long send_queue, recv_queue, when, inode;

    if (sscanf(text, " %*d: %32[0-9A-F]:%x %32[0-9A-F]:%x %x %lx:%lx %x:%lx %x %u %*d %lu", local,
               &local_port, remote, &remote_port, &state, &send_queue, &recv_queue, &timer, &when,
               &retries, &uid, &inode) != 12)
        return false;
    *line = (Line){.entry = {.kind = kind,
                             .recv_queue = (int64_t)recv_queue,
                             .send_queue = (int64_t)send_queue,
                             .local_port = (int32_t)local_port,
                             .remote_port = (int32_t)remote_port,
                             .state = (sockets_state)state,
                             .timer = timers[timer < 5 ? timer : 0],
                             .timer_left = (double)when / (double)sysconf(_SC_CLK_TCK),
                             .retransmissions = (int32_t)retries,
                             .uid = uid,
                             .inode = (int64_t)inode}};
    read_address(local, line->local);
    read_address(remote, line->remote);
    return true;
}

static bool is_wanted(const sockets_entry *entry, const sockets_filter *filter) {
    if (!filter)
        return true;
    return (!filter->port || *filter->port == entry->local_port ||
            *filter->port == entry->remote_port) &&
           (!filter->state || *filter->state == entry->state) &&
           (!filter->kind || *filter->kind == entry->kind);
}

static void read_table(const char *path, sockets_kind kind, const sockets_filter *filter,
                       List *list) {
    FILE *file = fopen(path, "re");
    char text[512];

    while (file && list->n < ENTRIES_MAX && fgets(text, sizeof(text), file)) {
        Line *line = &list->lines[list->n];

        list->n += read_line(text, kind, line) && is_wanted(&line->entry, filter);
    }
    if (file)
        fclose(file);
}

/* ---- owners ---- */

static void read_command(const char *pid, char command[COMMAND]) {
    char path[PATH_MAX];
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%s/comm", pid);
    file = fopen(path, "re");
    if (!file || !fgets(command, COMMAND, file))
        snprintf(command, COMMAND, "?");
    command[strcspn(command, "\n")] = '\0';
    for (char *c = command; *c; c++)
        *c = isprint((unsigned char)*c) ? *c : '?';
    if (file)
        fclose(file);
}

static void set_owner(List *list, int64_t inode, const char *pid, const char *fd) {
    for (size_t i = 0; i < list->n; i++) {
        Line *line = &list->lines[i];

        if (line->entry.inode != inode || line->entry.owner || inode == 0)
            continue;
        read_command(pid, line->command);
        line->owner = (sockets_owner){atoi(pid), line->command, atoi(fd)};
        line->entry.owner = &line->owner;
    }
}

/* Processes that may not be looked at are left out. */
static void find_owners(List *list, const char *pid) {
    char path[PATH_MAX], link[64];
    struct dirent *file;
    long inode;
    ssize_t n;
    DIR *folder;

    snprintf(path, sizeof(path), "/proc/%s/fd", pid);
    folder = opendir(path);
    while (folder && (file = readdir(folder))) {
        n = readlinkat(dirfd(folder), file->d_name, link, sizeof(link) - 1);
        link[n > 0 ? n : 0] = '\0';
        if (sscanf(link, "socket:[%ld]", &inode) == 1)
            set_owner(list, inode, pid, file->d_name);
    }
    if (folder)
        closedir(folder);
}

int entries(ferry_request *request, const sockets_filter *filter, void *ctx) {
    List list = {calloc(ENTRIES_MAX, sizeof(Line)), 0};
    sockets_entry *results = calloc(ENTRIES_MAX, sizeof(*results));
    DIR *proc = opendir("/proc");
    struct dirent *process;
    int r = -ENOMEM;

    (void)ctx;
    if (list.lines && results) {
        read_table("/proc/net/tcp", SOCKETS_KIND_TCP, filter, &list);
        read_table("/proc/net/tcp6", SOCKETS_KIND_TCP6, filter, &list);
        read_table("/proc/net/udp", SOCKETS_KIND_UDP, filter, &list);
        read_table("/proc/net/udp6", SOCKETS_KIND_UDP6, filter, &list);
        while (proc && list.n > 0 && (process = readdir(proc)))
            if (isdigit((unsigned char)process->d_name[0]))
                find_owners(&list, process->d_name);
        for (size_t i = 0; i < list.n; i++) {
            results[i] = list.lines[i].entry;
            results[i].local_address = list.lines[i].local;
            results[i].remote_address = list.lines[i].remote;
        }
        r = sockets_entries_return(request, &(sockets_list_entry){list.n, results});
    }
    if (proc)
        closedir(proc);
    free(results);
    free(list.lines);
    return r;
}
