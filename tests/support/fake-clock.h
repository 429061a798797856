/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A clock that a test stops and moves. A program with the dependency `fake_clock` reads this clock
 * in all its threads; its libraries and other processes read the real one. The clock runs until
 * the test stops it.
 */

#include <stdint.h>

void fake_clock_stop(void);
void fake_clock_move(uint64_t ms); /* a stopped clock */
void fake_clock_run(void);         /* it shows the real time again */
