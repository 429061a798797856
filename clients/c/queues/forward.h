/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Forwards of jobs in a client of several brokers. If the job's broker answers that the other queue
 * is at another one, the worker keeps the job. The leader then pushes the job's result to that
 * broker, with the number of the job and the name of its queue, by which it is stored once. When
 * the push is confirmed, the job is acknowledged.
 */

#include "clients/c/queues/job.h"

enum {
    FORWARDS_MAX = 65536,                  /* forwards without an answer */
    FORWARDS_BYTES_MAX = 64 * 1024 * 1024, /* bytes of these */
};

extern const Part forwards_part;

/* True: the job is forwarded with forward_start(). Otherwise a FORWARD that the broker cannot make
 * is a RETRY. */
bool forward_follows(const Delivery *job, const Message *message);

/* Sends the FORWARD, now or when there is room. Takes job->confirm. 0, -ENOMEM. */
int forward_start(Delivery *job, const Message *message, const void *block);

/* True: this job is being forwarded. Its queue goes to another broker, where it will be settled. */
bool forward_is_moving(const Core *core, uint64_t job, uint64_t attempt);

/* The next job that is being forwarded, after *at (NULL: the first one). False: there are no more.
 */
bool forward_next_held(const Core *core, ForwardedJob **at, uint64_t *ret_job,
                       uint64_t *ret_attempt);
