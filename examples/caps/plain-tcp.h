/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The same job over one TCP connection, for comparison. */

#include <stdint.h>

/* Sends `total` bytes through a child process that capitalises them. Returns the duration in
 * seconds; below 0: it failed. */
double plain_tcp(uint64_t total);
