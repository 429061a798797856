/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The scripts that run in Redis, and the changes that they apply. All keys of a space begin with
 * the same hash tag, so they are on one node of a Cluster, and one script can change all of them:
 *
 *     ferry:{NAME}          hash: format, id of the data; token, holder, time ("lease") and end of
 *                           the lease; last number of a job, and for each part the number of its
 *                           last call
 *     ferry:{NAME}:jobs     stream: entry ID-0 has the record of job ID (record.h)
 *     ferry:{NAME}:notes    hash: the note of a job, by its number
 *     ferry:{NAME}:pushes   sorted set: client and push id, 16 and 8 bytes, in the order of bytes
 *     ferry:{NAME}:keys     sorted set: queue and deduplication key, by the time of their end
 *     ferry:{NAME}:paused   set: the names of paused queues
 *     ferry:{NAME}:facts    hash: facts, by name
 *
 * All times are by the clock of Redis: the clocks of brokers may differ.
 *
 * Each call of the write script has the fencing token of its broker and a number. The script
 * applies all changes of a call or none, and a call that is sent again is applied once.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "rpc/wire/reader.h"

enum { REDIS_FORMAT = 1, REDIS_TOKEN_SIZE = 40 };

/* Takes the lease. Arguments: holder, lease in ms, id for new data, the id that the data must have,
 * the random part of the token, and the end of a lease that is over because nobody has prolonged it
 * for its time ("": none). Replies with words: TAKEN token id last now; HELD holder end lease; or
 * EMPTY, PARTIAL, FORMAT version, OTHER id. */
extern const char script_take[];
/* Applies changes. Arguments: token, part ("pushes" or "releases"), number of the call, lease in
 * ms, changes. Replies with "OK now", or with EMPTY, LOST, OLD: nothing was changed. */
extern const char script_write[];
/* Reads the next jobs, and prolongs the lease. Arguments: token, lease in ms, the last job that was
 * read, jobs at most, bytes at most. Replies with EMPTY or LOST; or with three values for each job:
 * number, record, note or "". */
extern const char script_read[];

/* Reads a key beside the jobs, and prolongs the lease. Arguments: token, lease in ms, ":paused",
 * ":keys", ":pushes" or ":facts", and the first and the last value of a sorted set. */
extern const char script_list[];

/* Changes, appended to those of a call. */
void change_put_job(Buffer *to, uint64_t id, uint64_t old, Span record, Span push, Span key,
                    uint64_t key_until_ms);
void change_put_settled(Buffer *to, uint64_t id, bool has_note);
void change_put_note(Buffer *to, uint64_t id, Span note);
/* Takes back the note of this job that begins at this place. False: the place has another change.
 */
bool change_drop_note(Buffer *in, size_t at, uint64_t id);
void change_put_fact(Buffer *to, Span name, Span value);
void change_put_paused(Buffer *to, Span queue, bool paused);
/* Forgets the pushes of a client (WIRE_TOKEN bytes) below floor. */
void change_put_forget(Buffer *to, const uint8_t *client, uint64_t floor);
/* Prolongs the lease, and forgets deduplication keys that have ended. */
void change_put_renewal(Buffer *to);
/* Gives the lease back. Job numbers up to last are used up. */
void change_put_end(Buffer *to, uint64_t last);

enum { REDIS_PUSH_SIZE = 24 };

/* The member of ":pushes" for a push. */
void redis_push_member(uint8_t to[REDIS_PUSH_SIZE], const uint8_t *client, uint64_t id);
