/* SPDX-License-Identifier: Apache-2.0 */
/* ferry_open(): puts the parts of the library together. */

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "clients/c/brokers/brokers.h"
#include "clients/c/calls/call.h"
#include "clients/c/calls/stream.h"
#include "clients/c/core/client.h"
#include "clients/c/direct/direct.h"
#include "clients/c/queues/forward.h"
#include "clients/c/queues/moved-jobs.h"
#include "clients/c/queues/settlement.h"
#include "clients/c/queues/work.h"
#include "clients/c/resend/push-log.h"
#include "clients/c/resend/registration.h"
#include "clients/c/serving/request.h"
#include "clients/c/topics/subscribe.h"
#ifdef FERRY_WITH_CACHE
#include "clients/c/memo/memo.h"
#include "clients/c/memo/report.h"
#endif

static const Part *const parts[] = {
    &registrations_part, &topics_part,        &calls_part,    &streams_part,
    &pushes_part,        &jobs_part,          &forwards_part, &moved_jobs_part,
    &settlements_part,   &serving_part,       &brokers_part,  &direct_part,
#ifdef FERRY_WITH_CACHE
    &memo_part,          &cache_reports_part,
#endif
};

static_assert(sizeof(parts) / sizeof(*parts) <= PARTS_MAX, "the core has room for each part");

/* A core and the state of its parts, in one block of memory. */
typedef struct CoreAndParts {
    Core core;
    CallsPart calls;
    ServingPart serving;
    TopicsPart topics;
    JobsPart jobs;
} CoreAndParts;

int client_open_member(Core *leader, const char *url, const ferry_options *options,
                       ferry_client **ret, ferry_error *reterr) {
    CoreAndParts *all = calloc(1, sizeof(*all));

    if (!all)
        return error_set_code(reterr, -ENOMEM, NULL);
    all->core.leader = leader;
    all->core.calls = &all->calls;
    all->core.serving = &all->serving;
    all->core.topics = &all->topics;
    all->core.jobs = &all->jobs;
    return client_open(&all->core, parts, sizeof(parts) / sizeof(*parts), url, options, ret,
                       reterr);
}

int ferry_open(const char *url, const ferry_options *options, ferry_client **ret,
               ferry_error *reterr) {
    return client_open_member(NULL, url, options, ret, reterr);
}
