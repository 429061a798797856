/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Pushes that the broker has not confirmed, in the order in which they were made: kept, so that
 * they can be sent again when the connection is lost.
 */

#include <ferry/queue.h>

#include "clients/c/core/core.h"

enum {
    PUSHES_MAX = 65536,                  /* unconfirmed: the broker remembers so many ids */
    PUSHES_BYTES_MAX = 64 * 1024 * 1024, /* that they may take */
};

typedef struct Push Push;

PushLog *push_log_new(void);
PushLog *push_log_free(PushLog *log);
bool push_log_is_empty(const PushLog *log);

/* The lowest id that may yet be sent again. */
uint64_t push_log_floor(const PushLog *log, uint64_t next_id);

/* Is there room for one with a body of len bytes? */
bool push_log_has_room(const PushLog *log, size_t len);

/* Keeps a message as the last one. NULL: out of memory. */
Push *push_log_add(PushLog *log, const Message *message, const void *block);

/* It is confirmed, refused or given up: out of the log. */
void push_log_take(PushLog *log, Push *push);
void push_log_give_back(PushLog *log, Push *push);

extern const Part pushes_part; /* push.c */
