/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A name server for a test, on 127.0.0.1:53 of a network namespace. A thread answers according to
 * the name, and /etc/resolv.conf contains its address:
 *
 *     four.test        127.0.0.1 six.test         ::1 both.test        ::1 and 127.0.0.1
 *     after-MS.test    127.0.0.1, after MS milliseconds never.test       no answer anything else
 *     "the name does not exist"
 */

/* Gives a name its records: addresses, such as "127.0.0.2 ::1", or for a name that begins with an
 * underscore SRV records, such as "10 0 5877 a.test;20 0 5877 b.test" (priority, weight, port,
 * target). NULL: the name server does not know the name any more. Any thread may call it. */
void fake_dns_set(const char *name, const char *records);

/* The number of questions about a name so far. */
unsigned fake_dns_asked(const char *name);

/* Call it first in main(), while there is one thread. Skips the test if namespaces are not
 * available. */
void fake_dns_start(void);
