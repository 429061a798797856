/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The scripts that run in Redis, and the changes that they apply. All keys of a space begin with
 * the same hash tag, so they are on one node of a Cluster, and one script can change all of them:
 *
 *     ferry:{NAME}          hash: format, id of the data, "shard" ("3/8", or ""); token, holder,
 *                           time ("lease") and end of the lease; "served": when the holder before
 *                           had it last; last number of a job, and for each part the number of its
 *                           last call
 *     ferry:{NAME}:segments hash: the records (record.h) of the jobs of one call, by the number of
 *                           the segment (segments.h)
 *     ferry:{NAME}:order    sorted set: the numbers of the segments
 *     ferry:{NAME}:ended    hash: for each segment, a bit for each of its jobs that has ended
 *     ferry:{NAME}:passed   hash: numbers of jobs that were forwarded, until their bits are set
 *     ferry:{NAME}:notes    hash: the note of a job, by its number
 *     ferry:{NAME}:pushes   sorted set: client, last id and number of consecutive pushes, 16, 8 and
 *                           4 bytes, in the order of bytes
 *     ferry:{NAME}:keys     sorted set: queue and deduplication key, by the time of their end
 *     ferry:{NAME}:paused   set: the names of paused queues
 *     ferry:{NAME}:facts    hash: facts, by name
 *     ferry:{NAME}:inbox    stream, of a shard: messages that were published at other brokers, for
 *                           queues of the shard (broker/queues/inbox-entry.h)
 *     ferry:{NAME}:retained hash, of a shard: the retained values (broker/queues/inbox-entry.h), by
 *                           topic, behind 8 bytes with the time in ms when it was published
 *     ferry:{NAME}:changed  sorted set, of a shard: topics with a value, by the number of its last
 *                           change
 *     ferry:{NAME}:cleared  sorted set, of a shard: topics whose values were deleted in the last
 *                           hour, by the number of the change
 *     ferry:{NAME}:senders  hash, of a shard: for each broker that sends to the inbox or stores
 *                           values the number of its last call, the outcome, and time; "bytes": of
 *                           all entries; "kept": bytes of all values; "version": number of the last
 *                           change of a value
 *
 * The brokers of a cluster with shards have three keys more:
 *
 *     ferry:{NAME}:cluster  hash: format, number of shards, id of the data; "made": the shards that
 *                           were restored once; "binds": the number of the last announcement
 *     ferry:{NAME}:members  hash: of each broker, by its id in hex: the end of its entry, its URL,
 *                           'b' and the number of the last announcement that it knows, and the
 *                           numbers of its shards; '+' stands before one that is not restored
 *     ferry:{NAME}:binds    hash: for each shard the numbers of a lease and of an announcement, as
 *                           two doubles, and its binds (broker/admin/remote-binds.h)
 *
 * All times are by the clock of Redis: the clocks of brokers may differ.
 *
 * Each call of the write script has the fencing token of its broker and a number. The script
 * applies all changes of a call or none, and a call that is sent again is applied once.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "rpc/wire/message.h"

enum { REDIS_FORMAT = 2, REDIS_CLUSTER_FORMAT = 1, REDIS_TOKEN_SIZE = 40 };

/* Takes the lease. Arguments: holder, lease in ms, rule and id, shard, the random part of the
 * token, and the end of a lease that is over because it was not prolonged for its time ("": no
 * lease is over in this way). The rule: "any:ID" gives new data this id; "same:ID": old data must
 * have it, too; "must:ID": the data must be there. Replies with words: TAKEN token id last now
 * end (of the lease before; 0: it was given back) served; HELD holder end lease; or EMPTY, PARTIAL,
 * FORMAT version, OTHER id, SHARD shard, CLUSTER. */
extern const char script_take[];
/* Writes a broker's entry of ":members", and forgets entries that have ended. Arguments: rule and
 * id, as above; number of shards; id of the broker; time of the entry in ms ("0": removes it); the
 * rest of the entry. Replies with words: OK now id made binds, and for each other broker its id and
 * its entry; or EMPTY, FORMAT version, SHARDS number, OTHER id, SPACE, MANY. */
extern const char script_member[];
/* Applies changes. Arguments: token, part ("pushes" or "releases"), number of the call, lease in
 * ms, changes; number and records of a new segment, or "" and "". Replies with "OK now", or with
 * EMPTY, LOST token, OLD: nothing was changed. */
extern const char script_write[];
/* Reads the next segments, and prolongs the lease. Arguments: token, lease in ms, the number of
 * segments that were read before, bytes at most. Replies with EMPTY or LOST; or with five values
 * for each segment: number, bits, records, the notes of its jobs (a list, or empty), and the same
 * for its jobs in "passed". */
extern const char script_read[];

/* Reads a key beside the jobs, and prolongs the lease. Arguments: token, lease in ms, ":paused",
 * ":keys", ":pushes" or ":facts", and the first and the last value of a sorted set. */
extern const char script_list[];

/* Announces the binds of a shard. Arguments: id of the data, shard, number of the lease, binds.
 * Replies with OK and the number of the announcement; or EMPTY, OLD: another broker has announced
 * binds under a later lease. */
extern const char script_announce[];
/* Reads the next announcements. Arguments: number of the last one that was read, bytes at most.
 * Replies with three values for each: shard, number, binds. */
extern const char script_binds[];
/* Appends entries to the inbox of a shard. Arguments: id of the data, id of the sender, number of
 * the call, entries of the inbox at most, their bytes at most, entries with their lengths. Replies
 * with OK and the number of entries that had room; or EMPTY. */
extern const char script_send[];
/* Stores and deletes retained values of a shard. Arguments: id of the data, id of the sender,
 * number of the call, values at most, their bytes at most, and for each value its age in ms (4
 * bytes) and, with their lengths, topic and value. Replies with OK and a digit for each value: 0,
 * or 1: it has no room; or EMPTY. */
extern const char script_retain[];
/* Reads the next changes of the retained values of a shard. Arguments: the number of the last one
 * that was read, values and bytes at most, id of the data. Replies with ALL or SOME (ALL: earlier
 * values are gone), the number of the last change in the reply, "1" if there are more, and three
 * values for each: topic, number of the change, and value with its time, or empty. Or EMPTY. */
extern const char script_values[];
/* Reads the next entries of the inbox of a shard. Arguments: the first possible id, entries and
 * bytes at most. Replies with two values for each: id, entry. */
extern const char script_inbox[];

enum { REDIS_PUSHES_SIZE = WIRE_TOKEN + 12 };

/* Pushes of one client with consecutive ids. */
typedef struct RedisPushes {
    uint8_t client[WIRE_TOKEN];
    uint64_t last;
    uint32_t n;
} RedisPushes;

/* The member of ":pushes". */
void redis_pushes_member(const RedisPushes *pushes, uint8_t to[REDIS_PUSHES_SIZE]);
int redis_pushes_read(Span member, RedisPushes *ret); /* 0 or -EBADMSG */

/* Changes, appended to those of a call. */
void change_put_push(Buffer *to, const RedisPushes *pushes);
/* Replaces the pushes of the change that begins at this place. */
void change_add_push(Buffer *in, size_t at, const RedisPushes *pushes);
void change_put_key(Buffer *to, Span key, uint64_t until_ms);
/* The job ends, or its bit is set. */
void change_put_passed(Buffer *to, uint64_t id);
void change_drop_passed(Buffer *to, uint64_t id);
void change_put_ended(Buffer *to, uint64_t segment, Span bits);
void change_put_rewritten(Buffer *to, uint64_t segment, Span records);
void change_put_deleted(Buffer *to, uint64_t segment);
/* The entry of the inbox has become jobs. */
void change_put_taken(Buffer *to, const char *entry, uint64_t bytes);
/* Job numbers up to this one are used up. */
void change_put_last(Buffer *to, uint64_t last);
void change_put_note(Buffer *to, uint64_t id, Span note);
void change_drop_note(Buffer *to, uint64_t id);
void change_put_fact(Buffer *to, Span name, Span value);
void change_put_paused(Buffer *to, Span queue, bool paused);
/* Forgets the pushes of a client (WIRE_TOKEN bytes) below floor. */
void change_put_forget(Buffer *to, const uint8_t *client, uint64_t floor);
/* Prolongs the lease, and forgets deduplication keys that have ended. */
void change_put_renewal(Buffer *to);
/* Gives the lease back. Job numbers up to last are used up. The broker served the space until
 * served_ms, by the clock of Redis. */
void change_put_end(Buffer *to, uint64_t last, uint64_t served_ms);
