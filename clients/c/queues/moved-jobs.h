/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Jobs in flight whose queue goes to another broker, in a client of several brokers. The broker
 * sends LOST for each of them, and the next broker waits some seconds for their worker. The client
 * tells it that it still has the job (EXTEND without a time). From then on the job is one of that
 * broker's member, with the settlement that the program has made meanwhile.
 */

#include "clients/c/queues/job.h"

enum {
    MOVED_JOB_MS = 30000,   /* the longest search for the next broker */
    SETTLEMENTS_KEPT = 1024 /* the last ones of a member, which its broker may not have taken */
};

extern const Part moved_jobs_part;

/* The broker of this job has lost its queue. */
void moved_job_begin(Delivery *job);

/* The member has settled this job before its broker lost the queue, or has not begun it: the job is
 * settled in the same way, or released, at the next broker. confirm: waits for this; may be NULL.
 */
void moved_job_again(Core *member, uint64_t job, uint64_t attempt, Settlement *confirm);

/* Sends a settlement of this job, whose broker has lost the queue, to the next broker. -ENOMEM. */
int moved_job_send(Core *member, const Message *settlement, Settlement *confirm);

/* Sends a settlement of the job, and takes job->confirm. 0, or a negative errno. */
typedef int (*SettleFn)(Delivery *job, Lane lane, Message *message, const void *block);

/* Settles a job that is on its way to another broker, with fn when it has arrived. Takes
 * job->confirm. 0, -ENOMEM. */
int moved_job_settle(Delivery *job, Lane lane, const Message *message, const void *block,
                     SettleFn fn);

/* The member has sent this settlement of a job, which moved_job_again() may repeat. */
void moved_job_sent(Core *member, const Message *settlement);
