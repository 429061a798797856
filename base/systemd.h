/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The protocol between a daemon and systemd, or any other service manager that speaks it: states as
 * datagrams to $NOTIFY_SOCKET, the watchdog. See sd_notify(3). Without a service manager the
 * functions do nothing.
 */

#include <stdint.h>

/* Sends lines as "READY=1\nSTATUS=serving". Never waits: a state that does not fit into the
 * manager's queue is lost. 0: sent, or nobody listens; else a negative errno. */
int systemd_notify(const char *state);

/* RELOADING=1, with the time that the manager needs for it; READY=1 ends it. */
void systemd_reloading(void);

/* The time within which the manager wants a sign of life (WATCHDOG=1); 0: it wants none. */
uint64_t systemd_watchdog_ms(void);
