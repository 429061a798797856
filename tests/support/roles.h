/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Roles that several tests use. Each role gets the broker's URL and the words behind its name in
 * this list, prints "ready 0" when the broker has accepted it, and runs until it is killed.
 *
 *     hold [N]             serves held.Calls.wait and works the queue held, N (1000) at once, and
 *                          never ends one: says "calls n" and "jobs n" as they come, "cancelled n"
 *     echo [NAME]          serves NAME (echo.Echo).say: the result is the argument
 *     busy SERVICE.METHOD MS   computes for MS without touching the library, then answers
 *     busy-work QUEUE MS   computes as long for each job; says "attempt n" before, "done n" after
 *     work QUEUE           acknowledges each job; says "job n" for a body that is the number n
 *     listen PATTERN       says "message n missed m" for each (m -1: unknown)
 *     count PATTERN        counts; at a message "end" says "received n" and "missed n";
 *                          at a message "pause" says "paused 0", and reads nothing more until
 *                          SIGUSR1
 */

#include "support/process.h"

extern const Role usual_roles[];
