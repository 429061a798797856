/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Pauses of commands that do the same again and again. */

#include <stdint.h>
#include <time.h>

/* A time in the form that nanosleep() takes. */
struct timespec pause_time(uint64_t ms);

/* Waits. The argument of usleep() has 32 bits, which end after 71 minutes. */
void pause_for(uint64_t ms);
