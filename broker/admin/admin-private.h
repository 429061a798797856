/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The functions that the files of ferry.Broker share. */

#include "broker/admin/admin.h"
#include "broker/queues/queues-private.h"

enum { ANSWERED_LATER = QUEUES_LATER }; /* the session gets the answer in a later turn */

/* ---- lists.c ---- */

/* A table of the broker that has a list in ferry.Broker. */
typedef struct ListKind {
    size_t (*count)(const Broker *broker); /* about */
    void *(*first)(const Broker *broker);  /* NULL: the table is empty */
    void *(*next)(const void *element);
    bool (*is_seen)(Session *session, const void *element);
    /* Writes a map. Returns the work that it was, beside the element itself. */
    unsigned (*write)(const void *element, const Broker *broker, Buffer *to);
    const struct ListKind *then; /* the elements of another table follow; NULL: no */
} ListKind;

extern const ListKind list_of_queues, list_of_services, list_of_sessions, list_of_topics;

/* All elements that the session (NULL: everybody) may see, an array. ANSWERED_LATER: there are
 * many, and the session gets the answer to id. -EBUSY: as many lists as may be are under way;
 * -ENOMEM. */
int admin_list(Broker *broker, const ListKind *kind, Session *session, uint64_t id, Buffer *to);
