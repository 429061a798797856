/* SPDX-License-Identifier: Apache-2.0 */
/* Pauses. See pause.h. */

#include "clients/cli/run/pause.h"

struct timespec pause_time(uint64_t ms) {
    return (struct timespec){.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000 * 1000000)};
}

void pause_for(uint64_t ms) {
    struct timespec time = pause_time(ms);

    nanosleep(&time, NULL);
}
