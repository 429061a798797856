// SPDX-License-Identifier: Apache-2.0
/**
 * The broker's events, about sessions, services, queues and limits. The comment of each struct names the topic of its
 * events:
 *
 *     ferry sub 'ferry.events.>' --topics --unpack any
 *
 * A subscription needs the right `watch` for its pattern. Patterns that begin with a wildcard do not match these
 * topics. The broker makes only events that have a subscriber. Of each kind it publishes 100 events at once and then
 * 10 a second; it counts further events and reports their number in LeftOut.
 */
namespace * ferry.events
namespace c broker_events

/** ferry.events.session.up: a client has connected. */
struct SessionUp {
  /** Wall clock, in microseconds since 1970. */
  1: i64 time_us
  2: i64 session
  /** The name of the program. */
  3: string name
  /** Empty: the broker has no users. */
  4: string user
  /** For example 127.0.0.1:4711, or "process 4711" on a Unix socket. */
  5: string address
}

/** ferry.events.session.down: a session has ended. */
struct SessionDown {
  1: i64 time_us
  2: i64 session
  3: string name
  4: string user
  /**
   * bye: the client left in order; lost: the connection ended without a BYE; protocol: the client broke the protocol;
   * slow: it did not read its messages; kicked, rights, replaced, draining: as in the broker's BYE; memory: the
   * broker had no memory for it.
   */
  5: string reason
  6: i64 age_ms
}

/** ferry.events.service.added: a server offers a service. */
struct ServiceAdded {
  1: i64 time_us
  2: string service
  3: string instance
  4: i64 session
  /** Number of servers of this service, including this one. */
  5: i64 servers
}

/** ferry.events.service.lost: a server does not offer a service any more. */
struct ServiceLost {
  1: i64 time_us
  2: string service
  3: string instance
  4: i64 session
  /** Number of servers of this service that are left. */
  5: i64 servers
}

/** ferry.events.queue.dead: a job has become a dead letter. */
struct DeadLetter {
  1: i64 time_us
  2: string queue
  /** The job's number in `queue`; its dead letter has the header ferry-job with this number. */
  3: i64 job
  4: i32 attempts
  5: string reason
}

/** ferry.events.queue.full: a queue refuses pushes. The queue's next event comes after it has had room again. */
struct QueueFull {
  1: i64 time_us
  2: string queue
  3: i64 jobs
  4: i64 bytes
}

/**
 * ferry.events.subscriber.slow: a subscriber misses messages, because its backlog is full. The next event of the
 * subscription comes after it has caught up.
 */
struct SubscriberSlow {
  1: i64 time_us
  2: i64 session
  3: string name
  4: string pattern
  /** Bytes that wait for the subscription. */
  5: i64 waiting
}

/** ferry.events.store.degraded: a store of queues cannot write, or can write again. */
struct StoreDegraded {
  1: i64 time_us
  /** The durability of the store's queues: disk or redis. */
  2: string store
  /** The reason; empty: the store can write again. */
  3: string reason
}

/** ferry.events.limit.reached: a message was refused with ferry.Full or ferry.Overloaded. */
struct LimitReached {
  1: i64 time_us
  2: i64 session
  3: string name
  4: string user
  /** The type of the error. */
  5: string type
  /** The error's message, which names the limit. */
  6: string problem
}

/** ferry.events.right.refused: a user has no right to do something. */
struct RightRefused {
  1: i64 time_us
  2: i64 session
  3: string user
  /** One of call, serve, publish and so on. */
  4: string action
  /** The name of the service, topic or queue. */
  5: string subject
}

/** ferry.events.connection.refused: a connection has not become a session. */
struct ConnectionRefused {
  1: i64 time_us
  /** Empty if the connection's key belongs to no user. */
  2: string address
  3: string problem
}

/** The number of events of one topic that were left out. */
struct LeftOutCount {
  1: string topic
  2: i64 events
}

/** ferry.events.left_out: how many events since the last LeftOut were not published, because there were too many. */
struct LeftOut {
  1: i64 time_us
  2: list<LeftOutCount> counts
}
