/* SPDX-License-Identifier: Apache-2.0 */
/* ferry_open(): puts the parts of the library together. */

#include <assert.h>

#include "clients/c/brokers/brokers.h"
#include "clients/c/calls/call.h"
#include "clients/c/core/client.h"
#include "clients/c/direct/direct.h"
#include "clients/c/queues/forward.h"
#include "clients/c/queues/settle.h"
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
    &registrations_part, &topics_part,        &calls_part,   &pushes_part,  &jobs_part,
    &forwards_part,      &settlements_part,   &serving_part, &brokers_part, &direct_part,
#ifdef FERRY_WITH_CACHE
    &memo_part,          &cache_reports_part,
#endif
};

static_assert(sizeof(parts) / sizeof(*parts) <= PARTS_MAX, "the core has room for each part");

int ferry_open(const char *url, const ferry_options *options, ferry_client **ret,
               ferry_error *reterr) {
    return client_open(parts, sizeof(parts) / sizeof(*parts), NULL, url, options, ret, reterr);
}

int client_open_member(Core *leader, const char *url, const ferry_options *options,
                       ferry_client **ret, ferry_error *reterr) {
    return client_open(parts, sizeof(parts) / sizeof(*parts), leader, url, options, ret, reterr);
}
