/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The functions that the files of ferry.Broker share. */

#include "broker/admin/admin.h"
#include "broker/queues/queues-private.h"

enum { ANSWERED_LATER = QUEUES_LATER }; /* the session gets the answer in a later turn */

/* ---- lists.c ---- */

/* A table of the broker that has a list in ferry.Broker. */
typedef struct ListKind {
    size_t (*count)(const Broker *broker); /* about how many elements it has */
    void *(*first)(const Broker *broker);  /* the first element; NULL: the table is empty */
    void *(*next)(const void *element);
    bool (*is_seen)(Session *session, const void *element);
    /* Writes an element as a map. Returns the work that this took, beside the element itself. */
    unsigned (*write)(const void *element, const Broker *broker, Buffer *to);
    const struct ListKind *then; /* the table whose elements follow in the same list; NULL: no
                                  * other */
} ListKind;

extern const ListKind list_of_queues, list_of_services, list_of_sessions, list_of_topics,
    list_of_users;

/* Writes an array of all elements that the session (NULL: everybody) may see. ANSWERED_LATER: there
 * are many, and the session gets the answer to id. -EBUSY: the maximum of lists is under way;
 * -ENOMEM. */
int admin_list(Broker *broker, const ListKind *kind, Session *session, uint64_t id, Buffer *to);

struct Caches *admin_caches(const Broker *broker);

/* ---- methods, each in the file of its subject ---- */

/* The name of the only instance of ferry.Broker. */
#define ADMIN_INSTANCE "broker"

/* A call: the session gets the answer to id. */
typedef struct Ask {
    Broker *broker;
    Session *session;
    uint64_t id;
    bool streams; /* the caller wants a stream of items */
} Ask;

/* Writes the result, or returns ANSWERED_LATER or a negative errno. *reterr may have a more precise
 * error. ferry-idl has made the type of args from the method's arguments. */
typedef int MethodFn(const Ask *ask, const void *args, Buffer *to, ferry_error *reterr);

/* sessions.c */
MethodFn method_sessions, method_kick, method_check, method_users;
/* caches.c */
MethodFn method_caches, method_report_caches;
/* services.c */
MethodFn method_services, method_describe, method_methods;
/* shards.c */
MethodFn method_shards;
/* topics.c */
MethodFn method_topics;
/* queues.c */
MethodFn method_queues, method_queue, method_peek, method_purge, method_pause, method_resume,
    method_move, method_configure, method_bind, method_unbind;
/* jobs.c */
MethodFn method_job, method_cancel, method_run_now, method_move_job;
/* schedules.c */
MethodFn method_add_schedule, method_remove_schedule, method_schedules;

/* The pattern of all names: the subject of methods without a name. */
static inline Span admin_all_names(void) {
    return span_text(">");
}
/* Answers with the whole list. */
int admin_list_answer(const Ask *ask, const ListKind *kind, Buffer *to, ferry_error *reterr);
/* Sets the error of a job that cannot go into another queue. Any other r is returned unchanged. */
int admin_not_moved(const Ask *ask, int r, const char *to, ferry_error *reterr);
/* True: the queue is at another broker. The session has got the error. */
bool admin_is_away(const Ask *ask, Span queue);
/* Checks that the session may do this to a job or a schedule of the queue. 0; -EACCES; -ENOENT: the
 * session does not see the queue, so the answer must not tell the contents of the queue. The log
 * has a line in both cases. */
int admin_check_part(const Ask *ask, Action action, Span queue, ferry_error *reterr);
