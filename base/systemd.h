/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The protocol between a daemon and systemd, or any other service manager that speaks it: states as
 * datagrams to $NOTIFY_SOCKET, the watchdog, sockets that the manager has opened. See sd_notify(3)
 * and sd_listen_fds(3). Without a service manager the functions do nothing.
 */

#include <stdint.h>

/* Sends lines as "READY=1\nSTATUS=serving". Never waits: a state that does not fit into the
 * manager's queue is lost. 0: sent, or nobody listens; else a negative errno. */
int systemd_notify(const char *state);

/* RELOADING=1, with the time that the manager needs for it; READY=1 ends it. */
void systemd_reloading(void);

/* The time within which the manager wants a sign of life (WATCHDOG=1); 0: it wants none. */
uint64_t systemd_watchdog_ms(void);

/* The descriptor of the socket that the manager has opened for this process; 0 without a socket;
 * -E2BIG with several, which stay open. Programs that this process starts do not get it. To be
 * called once, before the first thread starts: it removes the manager's variables. */
int systemd_listen_fd(void);
