/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The protocol between a daemon and systemd or a compatible service manager: states as datagrams to
 * $NOTIFY_SOCKET, the watchdog, and sockets that the manager has opened. See sd_notify(3) and
 * sd_listen_fds(3). Without a service manager the functions do nothing.
 */

#include <stdint.h>

/* Sends lines such as "READY=1 STATUS=serving". Never waits: if the manager's queue is full, the
 * state is lost. 0: sent, or there is no service manager; otherwise a negative errno. */
int systemd_notify(const char *state);

/* Sends RELOADING=1, with the current time, which the manager needs. READY=1 ends the reload. */
void systemd_reloading(void);

/* The time within which the manager expects a sign of life (WATCHDOG=1); 0: it has no watchdog. */
uint64_t systemd_watchdog_ms(void);

/* The descriptor of the socket that the manager has opened for this process; 0: there is no socket;
 * -E2BIG: there are several, which stay open. Programs that this process starts do not inherit it.
 * Call it once, before the first thread starts, because it removes the manager's variables. */
int systemd_listen_fd(void);
