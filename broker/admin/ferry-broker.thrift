// SPDX-License-Identifier: Apache-2.0
/** The broker's own service: what it knows of services, topics, queues and sessions, and commands for queues. */
namespace * ferry
namespace c ferry_broker

struct ServiceStatus {
  1: string name
  2: i32 instances
  /** Calls that all its servers together may work on at once. */
  3: i64 slots
  4: i64 busy
  /** Calls that wait for a server. */
  5: i64 waiting
  6: i64 calls
  7: i64 errors
  /** A server has sent a valid description. */
  8: bool described
  /** Servers that get no calls for some time, because they fail and others do not. */
  9: i32 ejected
  /** Its servers have different descriptions: calls go to those that have the method. */
  10: bool differs
  /** Servers that have declared themselves not ready: they get no calls meanwhile. */
  11: i32 not_ready
}

/** One server of a service. */
struct Instance {
  1: string instance
  2: i64 session
  /** The name of the program. */
  3: string client
  4: i64 slots
  5: i64 busy
  /** It gets no calls for some time, because it fails and others do not. */
  6: bool ejected
  /** False: it has declared itself not ready, and gets no calls meanwhile. */
  7: bool ready
}

struct ServiceDescription {
  1: string name
  2: list<Instance> instances
  /** The servers have different descriptions. */
  4: bool differs
  /** In the format of docs/description.md. */
  3: optional binary description
}

/** One method, summed over all servers of its service. */
struct MethodStatus {
  1: string method
  2: i64 calls
  3: i64 errors
  4: i64 p50_us
  5: i64 p99_us
  /** The type of the last error; empty: no error yet. */
  6: string last_error
  /** Of all its calls together. */
  7: i64 total_us
  /** Calls by their latency: 0 to 7 us, then eight counts for each power of two; zeros at the end are left out. */
  8: list<i64> latencies
}

/** A topic (name to kept), or a pattern with subscribers. */
struct TopicStatus {
  1: optional string name
  2: optional i64 published
  3: optional bool retained
  /** Messages kept for subscribers that ask for the last ones. */
  4: optional i64 kept
  5: optional string pattern
  6: optional i64 subscribers
}

/** Jobs that a worker has forwarded: acknowledged, and pushed to the next queue in one step. */
struct ForwardStatus {
  1: string to
  2: i64 jobs
}

/** A queue. The optional fields are its settings, which only `queue` returns; times are in milliseconds. */
struct QueueStatus {
  1: string name
  2: i64 ready
  3: i64 delayed
  /** In flight: delivered, and not settled yet. */
  4: i64 held
  5: i64 dead
  6: i64 bytes
  7: bool paused
  8: i64 workers
  9: i64 pushed
  10: i64 acked
  11: i64 redelivered
  12: i64 expired
  13: i64 dropped
  14: optional i64 max_jobs
  15: optional i64 max_bytes
  16: optional i64 max_attempts
  17: optional i64 retry
  18: optional i64 retry_max
  19: optional i64 ttl
  20: optional i64 time_limit
  21: optional i64 dedup
  22: optional string overflow
  /** As in the configuration: memory, disk, interval:TIME; `queues` returns it, too. */
  23: optional string durability
  /** Why its store cannot write: it does not confirm pushes. Absent: the store works. */
  24: optional string degraded
  /** Jobs removed by `cancel`. */
  25: i64 cancelled
  /** The topic patterns whose messages become jobs of the queue. */
  26: list<string> bound
  27: optional i64 max_keys
  /** The most jobs in flight, to all workers together; 0: no limit. */
  28: optional i64 max_working
  /** The most jobs that all workers together get in a time: "100/s"; "0": no limit. */
  29: optional string rate
  /** The queues that its jobs were forwarded to, at most 16, since the start of the broker. */
  30: list<ForwardStatus> forwards
}

struct JobStatus {
  1: i64 job
  /** storing, ready, delayed, held or settling. */
  2: string state
  3: i64 attempt
  4: i32 priority
  5: i64 age_ms
  /** Of its last failure; empty: no failure yet. */
  6: string reason
  7: optional map<string, string> headers
  /** Length of the whole body; `body` has its first 64 KiB. */
  8: i64 bytes
  9: binary body
  10: string queue
  /** Until it is delivered (delayed), or until its worker's time limit (held); 0: no such time. */
  11: i64 due_ms
  /** Until it becomes a dead letter; 0: never. */
  12: i64 expires_ms
  /** Of the worker that has it; 0: no connected worker has it. */
  13: i64 session
  /** True: `headers` and `body` are missing, because they are being read from the disk; ask again. */
  14: optional bool reading
}

/** A recurring job. */
struct ScheduleStatus {
  1: string name
  2: string queue
  /** Empty: `every_ms` counts. */
  3: string cron
  4: i64 every_ms
  5: string tz
  /** The rule for missed moments: once, skip or all. */
  6: string missed
  /** As 2026-11-30T06:00:00Z; empty: no moment. */
  7: string next
  8: string last
  /** Jobs pushed since the broker started. */
  9: i64 runs
  /** Of the body. */
  10: i64 bytes
  /** Why the last push was refused; empty: it was not. It is tried again each second. */
  11: string problem
}

/** A connected client. */
struct SessionStatus {
  1: i64 session
  2: string name
  3: i64 age_ms
  4: i64 serves
  5: i64 subscriptions
  6: i64 pulls
  /** Calls whose answers it waits for, and calls that it works on. */
  7: i64 calls
  8: i64 requests
  /** Bytes that wait to be sent to the client. */
  9: i64 waiting
  /** Messages from the client, messages to it, and messages that were dropped. */
  10: i64 in
  11: i64 out
  12: i64 dropped
  /** Empty: the broker has no users. */
  13: string user
  /** 127.0.0.1:4711, or "process 4711" on a Unix socket. */
  14: string address
  /** Of the process at the other end of a Unix socket; 0: not known. */
  15: i64 pid
  /** Memory that the client makes the broker hold, its share of max_memory. */
  16: i64 memory
}

/** Counted since the start of the broker. */
struct Counters {
  1: i64 uptime_ms
  2: i64 epoch
  3: i64 sessions
  4: i64 connections
  5: i64 calls_open
  6: i64 stored_bytes
  7: i64 calls
  8: i64 answers
  9: i64 errors
  10: i64 late_answers
  11: i64 published
  12: i64 delivered
  13: i64 dropped
  14: i64 pushed
  15: i64 acked
  16: i64 redelivered
  17: i64 dead
  18: i64 faults
  /** Turns of the broker's loop: each does a bounded amount of work. */
  19: i64 turns
  /** Why a store of queues cannot write. Absent: all stores work. */
  20: optional string degraded
  /** Bytes that clients make the broker hold: the limit (max_memory), and what is used of it, by kind. */
  21: i64 memory_max
  22: i64 memory_used
  /** The records of connections and sessions. */
  23: i64 memory_connections
  /** Received and not handled yet. */
  24: i64 memory_input
  /** Large bodies that are arriving. */
  25: i64 memory_transfers
  /** Waiting to be sent. */
  26: i64 memory_output
  /** Copies of requests that wait for a server, or that may be sent again. */
  27: i64 memory_calls
  /** Items of streams that wait for a server. */
  28: i64 memory_streams
  /** Services, descriptions and statistics of methods. */
  29: i64 memory_services
  /** Subscriptions, backlogs, retained and kept messages. */
  30: i64 memory_topics
  /** Jobs, deduplication keys, ids of pushes. */
  31: i64 memory_queues
  /** Lists of this service that are being written. */
  32: i64 memory_lists
  /** Of queues whose configuration names none: memory, or disk. */
  33: string durability
  /** Calls of all services but this one by their latency, as in MethodStatus. */
  34: list<i64> latencies
  /** It takes no new work, and stops when it has none left. */
  35: bool draining
}

/** Whether a user may do something, and the line of the configuration that allows it. */
struct Decision {
  1: bool allowed
  /** "[user shop] may = push images.>". Empty: no line allows it, or the broker has no users. */
  2: string rule
  /** 0: no line; administrators that need no line are allowed everything. */
  3: i32 line
}

/** A message that passed through the broker. One of service, topic and queue is set. */
struct TapRecord {
  /** Wall clock, in microseconds since 1970. */
  1: i64 time_us
  /** True: from the broker to the session; false: from the session to the broker. */
  2: bool sent
  3: i64 session
  /** The name of the session's program. */
  4: string client
  /** CALL, PUBLISH, JOB and so on: docs/PROTOCOL.md lists them. */
  5: string message
  6: optional string service
  7: optional string topic
  8: optional string queue
  /** Empty: the message has no method. */
  9: string method
  /** Of the call, push or job; 0: the message has no id. */
  10: i64 id
  /** Length of the body, of which the first bytes follow. */
  11: i64 bytes
  12: binary body
  /** Records before this one that were lost because the reader was too slow. */
  13: i64 missed
}

/** The broker itself. */
service Broker {
  list<ServiceStatus> services() (idempotent = "true")
  /** The servers of a service, and its description. */
  /** The description of this instance; without one, the description that has the most methods. */
  ServiceDescription describe(1: string service, 2: optional string instance) (idempotent = "true")
  /** Statistics of the methods of a service. */
  list<MethodStatus> methods(1: string service) (idempotent = "true")
  list<TopicStatus> topics() (idempotent = "true")
  list<QueueStatus> queues() (idempotent = "true")
  /** One queue, with its settings. */
  QueueStatus queue(1: string queue) (idempotent = "true")
  list<SessionStatus> sessions() (idempotent = "true")
  Counters stats() (idempotent = "true")
  /** The next jobs of a queue, which stay in it; limit 0: all, up to 1 000 jobs and 4 MiB. */
  list<JobStatus> peek(1: string queue, 2: i64 limit = 10) (idempotent = "true")
  /** Deletes all jobs that are not in flight. Returns their number. */
  i64 purge(1: string queue)
  /** Stops the delivery of jobs until `resume`. */
  void pause(1: string queue) (idempotent = "true")
  void resume(1: string queue) (idempotent = "true")
  /** Moves jobs that are not in flight, the next ones first; limit 0: all. Returns their number. */
  i64 move(1: string from, 2: string to, 3: i64 limit = 0)
  /** From now on each message of a topic that matches becomes a job of the queue; kept over a restart. */
  void bind(1: string queue, 2: string pattern) (idempotent = "true")
  void unbind(1: string queue, 2: string pattern)
  /** A setting of the queue, as in the configuration, which it goes before; an empty value ends it. Kept over a restart. */
  void configure(1: string queue, 2: string setting, 3: string value) (idempotent = "true")
  /**
   * At each moment of the schedule, pushes a job with this body to the queue; kept over a restart. Either a cron
   * line, in the time zone tz (empty: UTC), or an interval, in milliseconds. missed: `once` (empty), `skip` or `all`.
   * A schedule with this name is replaced.
   */
  void add_schedule(1: string queue, 2: string name, 3: string cron = "", 4: i64 every = 0, 5: string tz = "",
    6: string missed = "", 7: binary body = "") (idempotent = "true")
  list<ScheduleStatus> schedules() (idempotent = "true")
  void remove_schedule(1: string name)
  /** One job, by its number. */
  JobStatus job(1: i64 job) (idempotent = "true")
  /** Removes a job. A worker that has it is told. */
  void cancel(1: i64 job)
  /** Makes a waiting job the next one that its queue delivers, whatever its delay. */
  void run_now(1: i64 job)
  /** Moves a job to another queue. A worker that has it is told. Returns its new number. */
  i64 move_job(1: i64 job, 2: string to)
  /** The broker takes no new work, finishes the rest, and stops. */
  void drain()
  /**
   * Watches messages: those whose service, topic or queue matches a pattern ('*' matches one token,
   * '>' at the end one or more); without patterns all messages. session: only messages of this session;
   * 0: of all. max_body: bytes of each body to report, at most 65536.
   */
  stream<TapRecord> tap(1: list<string> services, 2: list<string> topics, 3: list<string> queues,
    4: i64 session = 0, 5: i32 max_body = 256)
  /** Ends a session; its program may connect again. */
  void kick(1: i64 session)
  /** Reads the configuration again, all or nothing, as on SIGHUP. */
  void reload()
  /** Explains whether the user (empty: the caller) may do the action (call, serve, …) on this name or pattern. */
  Decision check(1: string user, 2: string action, 3: string name) (idempotent = "true")
}
