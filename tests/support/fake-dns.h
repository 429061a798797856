/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A name server of a test's own, on 127.0.0.1:53 of a network namespace, with a thread that answers
 * by what stands in the name, and an /etc/resolv.conf that leads to it:
 *
 *     four.test        127.0.0.1
 *     six.test         ::1
 *     both.test        ::1 and 127.0.0.1
 *     after-MS.test    127.0.0.1, after so many milliseconds
 *     never.test       nothing is ever said
 *     anything else    there is no such name
 */

/* First in main(), while there is one thread; skips the test where there are no namespaces. */
void fake_dns_start(void);
