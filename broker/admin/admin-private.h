/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The functions that the files of ferry.Broker share. */

#include "broker/admin/admin.h"
#include "broker/queues/queues-private.h"

enum { ANSWERED_LATER = QUEUES_LATER }; /* the session gets the answer in a later turn */

/* ---- queues.c ---- */

void queue_describe(const Queue *queue, Buffer *to); /* as a map */

/* ---- queue-list.c ---- */

/* All queues that the session may see, a list of maps. ANSWERED_LATER: there are many, and the
 * session gets the answer to id. -EBUSY: as many lists as may be are under way; -ENOMEM. */
int admin_list_queues(Admin *admin, Session *session, uint64_t id, Buffer *to);
