/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A small internet of a test's own: the host here.lan.test in a network namespace with loopback and
 * the address 192.0.2.1, its own /etc/hosts, resolv.conf and nsswitch.conf, and NSD as the name
 * server of all names, on 127.0.0.1:53. Nothing outside can be reached, and the system's files stay
 * as they are.
 *
 * The zone example.test has a name for each case; zones in world.c. broken.test gets SERVFAIL;
 * every other name outside example.test does not exist.
 */

#include <stdint.h>
#include <sys/types.h>

/* Call this first in main(), while there is one thread. Skips the test if namespaces or NSD are not
 * available. */
void world_start(void);
void world_end(void); /* at exit, too */

/* Loopback and nothing else, with a resolver that refuses at once. False: no namespaces here. */
int world_isolate(void);

/* Starts a program as a child that dies with us; words end with NULL. Its output goes to a file of
 * the test's. */
pid_t spawn(const char *program, ...) __attribute__((sentinel));
void reap(pid_t pid); /* SIGTERM, and waits */

/* Starts a server that prints its port in its first line. */
pid_t spawn_on_port(uint16_t *ret_port, const char *program, ...) __attribute__((sentinel));

/* Waits until somebody listens on a TCP port of an address, at most 10 s. */
int wait_for_port(const char *address, uint16_t port);

/* A listening TCP socket on an address, at a free port. -1: the address does not exist. */
int listen_on(const char *address, uint16_t *ret_port);

/* A folder of the test's own in /tmp, made by the functions above or here; world_end() removes it.
 */
const char *world_folder(void);

/* Puts the certificates of examples/tls/certificates.sh into it. */
void world_make_certificates(void);

/* The text of a file; to be freed. */
char *world_read(const char *path);
