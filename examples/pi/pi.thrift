// SPDX-License-Identifier: Apache-2.0
namespace * pi

/**
 * Batches of points are published to this topic, followed by their common leading bits: 00, 01, 10
 * or 11.
 */
const string TOPIC = "pi.bits."

/** The queue of the counts. */
const string QUEUE = "pi.tally"

/** Random bits of a coordinate: the square of each fits in 64 bits. */
const i32 BITS = 31

/** Points whose leading bits are the same, as published. */
struct Batch {
  /** The run that they belong to. Batches of an earlier run do not count. */
  1: i64 run
  2: list<i32> xs
  3: list<i32> ys
}

/** How many of a batch's points lie in the circle, as pushed. */
struct Count {
  1: i64 run
  2: i64 inside
  3: i64 points
  /** The name of the worker. */
  4: string worker
}

/** The sums so far. */
struct Estimate {
  1: i64 inside
  2: i64 points
  3: double pi
  /** Batches by worker. */
  4: map<string, i64> workers
}

/** Two related lists have different lengths, or are too long. */
exception NotPairs {
  1: i32 xs
  2: i32 ys
}

/**
 * Pi by random points: one program that uses all three topologies.
 *
 * A source publishes points as random bits. Points with both leading bits zero lie inside the
 * quarter circle without a calculation; a worker for these alone subscribes to `pi.bits.00`. For the
 * others a worker asks this service for the squares (request and reply). All workers push their
 * counts to the queue `pi.tally` (a pipeline), at whose end the counts are added up.
 */
service Pi {
  /** Begins a new run with sums of zero. Returns the number of the run. */
  i64 begin()

  /**
   * Pythagoras: x² + y² of each point. Points with a sum below 2^62 are inside.
   *
   * At most 4096 points at a time.
   */
  list<i64> squares(1: list<i32> xs, 2: list<i32> ys) throws (1: NotPairs not_pairs) (idempotent = "true")

  /** The progress of the run. */
  Estimate tally() (idempotent = "true")
}
