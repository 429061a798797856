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

/* Call it first in main(), while there is one thread. Skips the test if namespaces are not
 * available. */
void fake_dns_start(void);
