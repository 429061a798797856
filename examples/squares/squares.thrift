// SPDX-License-Identifier: Apache-2.0
namespace * squares

/** Numbers from 0 to here are squared. */
const i64 MAX = 1000000

/** The number is below 0 or above MAX. */
exception OutOfRange {
  1: i64 number
  2: i64 max
  3: string message
}

struct Answer {
  1: i64 square
  /** False: it was computed for this call. */
  2: bool cached
}

/** Counters of the cache since the start of the server. */
struct Counters {
  1: i64 hits
  2: i64 misses
  /** Times that a square was computed. */
  3: i64 computed
  /** Writes that were dropped because a Redis server was stopped. */
  4: i64 dropped_writes
  /** Redis servers that are not asked now, because they failed. */
  5: i32 stopped
}

/** One of the servers that share the keys. */
struct Shard {
  /** Its URL. */
  1: string server
  /** How many of the keys it holds. */
  2: i64 keys
  /** False: it does not answer, and its keys are not counted. */
  3: bool up
}

/** The cache is in this process, so there are no servers with shares of the keys. */
exception NotSharded {
  1: string url
  2: string message
}

/**
 * Squares, computed slowly, and cached.
 *
 * A cache makes repeated slow answers fast. If one machine is too small or too slow for the cache,
 * its keys are spread over several servers. Each key has one server, which a program computes from
 * the key without asking.
 */
service Squares {
  /** n times n, by n additions; remembered for a minute. */
  Answer square(1: i64 n) throws (1: OutOfRange out_of_range) (idempotent = "true")

  /** Computes the same answer without the cache. */
  Answer compute(1: i64 n) throws (1: OutOfRange out_of_range) (idempotent = "true")

  /** Counters of the cache. */
  Counters stats() (idempotent = "true")

  /** Asks every server which of the squares from 0 to n - 1 it holds: 1 to 100 000 of them. */
  list<Shard> shards(1: i32 n) throws (1: OutOfRange out_of_range, 2: NotSharded not_sharded)
}
