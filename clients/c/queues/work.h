/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Workers, and the jobs that the broker gives them. */

#include "clients/c/core/core.h"

struct JobsPart {
    IdMap pulls;             /* by the id that jobs carry */
    Delivery *in_flight;     /* jobs that are delivered and not settled */
    unsigned n_lost_due;     /* lost jobs whose callbacks are due */
    Settlement *settlements; /* wait for their confirmation */
    Settlement *ended_settlements, *last_ended_settlement; /* their callbacks are due */
    ForwardedJob *forwards;                                /* see forward.h */
    unsigned n_forwards, n_unsent_forwards, n_pushed_forwards;
    size_t forward_bytes;
    MovedJob *moved;              /* of a leader: see moved-jobs.h */
    struct SentSettlements *sent; /* of a member: the last ones; NULL: it has sent none */
};

extern const Part jobs_part;
