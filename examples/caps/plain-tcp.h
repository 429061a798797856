/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The same job over a TCP connection of its own, for comparison. */

#include <stdint.h>

/* Sends `total` bytes through a child process that capitalises them; seconds, or below 0. */
double plain_tcp(uint64_t total);
