/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Processes of a test's own: brokers, and roles that the test plays in a process apart, so that
 * they can be killed, stopped and measured. All die with the test.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct Process {
    pid_t pid; /* 0: has ended */
    int out;   /* its standard output; -1: it shares ours */
    char waiting[4096];
    size_t n_waiting;
} Process;

/* ---- roles ---- */

typedef struct Role {
    const char *name;
    int (*play)(int argc, char **argv); /* argv[0] is the first word after the role's name */
} Role;

/* First in main(): does not return when this process is to play a role. The last has no name. */
void roles_play(int argc, char **argv, const Role *roles);

/* Starts this program again in a role; words end with NULL. */
void role_start(Process *process, const char *role, ...) __attribute__((sentinel));

/* In a role: a line for the test. */
void tell(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* In the test: the next line of a role, or NULL when none comes in time. Lent. */
const char *told(Process *process, int timeout_ms);

/* Waits for the line "WORD n" with n >= at_least, skipping others; false when none comes. */
bool told_count(Process *process, const char *word, long at_least, int timeout_ms, long *ret);

/* ---- signals and figures ---- */

void process_signal(Process *process, int signal);

/* Sends the signal (0: none), waits; returns the exit status, or minus the signal that ended it.
 * After timeout_ms it is killed, and INT_MIN returned. */
int process_end(Process *process, int signal, int timeout_ms);

size_t process_rss_kib(pid_t pid);
uint64_t process_cpu_ms(pid_t pid);
size_t process_n_fds(pid_t pid);

/* ---- brokers ---- */

typedef struct DaemonOptions {
    bool tcp;           /* on a port of loopback; else on a socket of its own */
    const char *host;   /* on that socket, and on a port of this address: tcp_url */
    const char *config; /* the text of its configuration file; NULL: none */
    bool data;          /* with a data folder */
    const char *level;  /* of its log; NULL: warning */
    unsigned max_fds;   /* 0: as we */
    size_t max_data;    /* bytes of memory that it may use; 0: as we */
} DaemonOptions;

typedef struct Daemon {
    Process process;
    DaemonOptions options;
    uint16_t port; /* of tcp and host */
    char folder[64], url[128], tcp_url[64], log[128], config[128], data[128];
} Daemon;

/* Returns when it listens; ends the test when it does not. */
void daemon_start(Daemon *daemon, const DaemonOptions *options);
void daemon_restart(Daemon *daemon); /* at the same address, after its end */
void daemon_kill(Daemon *daemon);    /* kill -9 */
void daemon_end(Daemon *daemon);     /* and nothing of it remains */

/* Starts a second broker with the same options, which must give up: returns its exit status and its
 * output. */
int daemon_start_second(const Daemon *daemon, char *said, size_t size);

void daemon_configure(Daemon *daemon, const char *config); /* rewrites the file */

/* Lines in its log that contain this (NULL: any). */
size_t daemon_log_lines(const Daemon *daemon, const char *containing);

/* The log has nothing but lines of printable text. */
bool daemon_log_is_clean(const Daemon *daemon);

/*
 * A TCP port that nobody uses now. It lies below the ports that the kernel gives to clients (32768
 * and above): a connection of another test cannot take it before its server listens, or while the
 * server is restarted. A node of a Redis cluster also takes the port 10 000 above.
 */
uint16_t free_port(void);
void sleep_ms(uint64_t ms);
