/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Processes of a test: brokers, and roles. A role is a part of the test that runs as a process of
 * its own, so that it can be killed, stopped and measured. All processes end with the test.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct Process {
    pid_t pid; /* 0: the process has ended */
    int out;   /* its standard output; -1: it shares that of the test */
    char waiting[4096];
    size_t n_waiting;
} Process;

/* ---- roles ---- */

typedef struct Role {
    const char *name;
    int (*play)(int argc, char **argv); /* argv[0] is the first word after the name of the role */
} Role;

/* Call it first in main(). If this process was started as a role, it does not return. The last
 * element of roles has no name. */
void roles_play(int argc, char **argv, const Role *roles);

/* Starts this program again in a role; words end with NULL. */
void role_start(Process *process, const char *role, ...) __attribute__((sentinel));

/* In a role: prints a line for the test. */
void tell(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* In the test: returns the next line of a role, lent until the next call. NULL: the role printed no
 * line in time. */
const char *told(Process *process, int timeout_ms);

/* Waits for a line "WORD n" with n >= at_least, and skips other lines. False: the line did not come
 * in time. */
bool told_count(Process *process, const char *word, long at_least, int timeout_ms, long *ret);

/* ---- signals and figures ---- */

void process_signal(Process *process, int signal);

/* Sends the signal (0: no signal), waits; returns the exit status, or minus the signal that ended
 * it. After timeout_ms it is killed, and INT_MIN returned. */
int process_end(Process *process, int signal, int timeout_ms);

/* True: the process has ended by itself, and *process is empty. */
bool process_is_over(Process *process);

size_t process_rss_kib(pid_t pid);
size_t process_n_fds(pid_t pid);

/* ---- brokers ---- */

typedef struct DaemonOptions {
    bool tcp;           /* true: on a port of loopback; false: on a Unix socket */
    const char *host;   /* on the Unix socket, and on a port of this address: see tcp_url */
    uint16_t port;      /* of tcp and host; 0: a free one */
    const char *config; /* the text of its configuration file; NULL: no file */
    bool data;          /* with a data folder */
    const char *level;  /* level of its log; NULL: warning */
    /* Bytes of memory that it may use; 0: as the test. */
    unsigned max_fds; /* 0: as the test */
    size_t max_data;
} DaemonOptions;

typedef struct Daemon {
    Process process;
    DaemonOptions options;
    uint16_t port; /* port of tcp and host */
    char folder[64], url[128], tcp_url[64], log[128], config[128], data[128];
} Daemon;

/* Starts a broker and waits until it listens. If it does not start, ends the test. */
void daemon_start(Daemon *daemon, const DaemonOptions *options);
void daemon_restart(Daemon *daemon); /* starts it again at the same address, after it has ended */
/* As daemon_start() and daemon_restart(), but without waiting: a standby does not listen yet. */
void daemon_launch(Daemon *daemon, const DaemonOptions *options);
void daemon_relaunch(Daemon *daemon);
void daemon_kill(Daemon *daemon); /* kill -9 */
void daemon_end(Daemon *daemon);  /* ends the broker and removes its folder */

/* Starts a second broker with the same options, which must fail. Returns its exit status and its
 * output. */
int daemon_start_second(const Daemon *daemon, char *said, size_t size);

void daemon_configure(Daemon *daemon, const char *config); /* rewrites its configuration file */

/* The number of lines in its log that contain this text (NULL: of all lines). */
size_t daemon_log_lines(const Daemon *daemon, const char *containing);

/* True: the log consists of lines of printable text. */
bool daemon_log_is_clean(const Daemon *daemon);

/*
 * A TCP port that no process uses now, and that no other test gets. It is below the ports that the
 * kernel gives to clients (32768 and above), so a connection of another test cannot take it before
 * the server listens, or while the server is restarted. A node of a Redis cluster also takes the
 * port 10 000 above.
 */
uint16_t free_port(void);
void sleep_ms(uint64_t ms);
