// SPDX-License-Identifier: Apache-2.0
/** The broker's own service: its services, topics, queues and sessions, and commands for an operator. */
namespace * ferry
namespace c ferry_broker

struct ServiceStatus {
  1: string name
  2: i32 instances
  /** The number of calls that all its servers together may work on at the same time. */
  3: i64 slots
  4: i64 busy
  /** Calls that wait for a server. */
  5: i64 waiting
  6: i64 calls
  7: i64 errors
  /** True: a server has sent a valid description. */
  8: bool described
  /** Number of servers that get no calls for some time, because they fail and other servers do not. */
  9: i32 ejected
  /** True: its servers have different descriptions; calls go to the servers that have the method. */
  10: bool differs
  /** Number of servers that have declared themselves not ready: they get no calls until they are ready. */
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
  /** True: it gets no calls for some time, because it fails and other servers do not. */
  6: bool ejected
  /** False: it has declared itself not ready, and gets no calls until it is ready. */
  7: bool ready
}

struct ServiceDescription {
  1: string name
  2: list<Instance> instances
  /** True: the servers have different descriptions. */
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
  /** Latency of all its calls together. */
  7: i64 total_us
  /**
   * Numbers of calls by their latency: 0 to 7 us one by one, then eight numbers for each power of two. Zeros at the
   * end are left out.
   */
  8: list<i64> latencies
}

/** A topic (the fields `name` to `kept`), or a pattern with subscribers. */
struct TopicStatus {
  1: optional string name
  2: optional i64 published
  3: optional bool retained
  /** Messages that it keeps for subscribers that ask for the last ones. */
  4: optional i64 kept
  5: optional string pattern
  6: optional i64 subscribers
}

/** Jobs that a worker has forwarded: acknowledged, and pushed to the next queue in one step. */
struct ForwardStatus {
  1: string to
  2: i64 jobs
}

/** A queue. The optional fields are its settings; only the method `queue` returns them. Times are in milliseconds. */
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
  /** As in the configuration: memory, disk, redis, interval:TIME. The method `queues` returns it, too. */
  23: optional string durability
  /** The reason why the queue's store cannot write, so that pushes are not confirmed. Absent: the store works. */
  24: optional string degraded
  /** Jobs that `cancel` has removed. */
  25: i64 cancelled
  /** The topic patterns whose messages become jobs of the queue. */
  26: list<string> bound
  27: optional i64 max_keys
  /** The most jobs in flight, to all workers together; 0: no limit. */
  28: optional i64 max_working
  /** The most jobs that all workers together get in a time, for example "100/s". "0": no limit. */
  29: optional string rate
  /** Jobs forwarded to other queues since the start of the broker, by queue; at most 16 queues. */
  30: list<ForwardStatus> forwards
  /** The setting of Redis that decides what a confirmed job survives, for example "appendfsync=always wait=1". Absent:
   * the queue is not in Redis. */
  31: optional string store_setting
  /** The durability that the queue gets when its jobs are gone. Absent: it does not change. */
  32: optional string next_durability
}

/** A part of the queues that several brokers share in a store with shards. */
struct ShardStatus {
  1: i32 shard
  /** One of here, restoring (this broker is taking it), leaving (this broker gives it up), elsewhere, none (no broker
   * has it). */
  2: string state
  /** URL of the other broker that has it; empty: no other broker is known to have it. */
  3: string owner
  /** Jobs of its queues in this broker's memory. */
  4: i64 jobs
  /** The reason why it cannot be written, so that pushes are not confirmed. Absent: it can be written. */
  5: optional string degraded
}

struct JobStatus {
  1: i64 job
  /** One of storing, ready, delayed, held, settling. */
  2: string state
  3: i64 attempt
  4: i32 priority
  5: i64 age_ms
  /** Reason of its last failure; empty: it has not failed. */
  6: string reason
  7: optional map<string, string> headers
  /** Length of the whole body; `body` has its first 64 KiB. */
  8: i64 bytes
  9: binary body
  10: string queue
  /** Delayed: time until its delivery. Held: time until its worker's time limit; 0: no limit. Other states: 0. */
  11: i64 due_ms
  /** Time until it becomes a dead letter; 0: never. */
  12: i64 expires_ms
  /** The session of the worker that has it; 0: no connected worker has it. */
  13: i64 session
  /** True: `headers` and `body` are missing, because they are being read from the disk. Ask again. */
  14: optional bool reading
  /** Its ordering key. Absent: it has no ordering key. */
  15: optional string order
  /** Why a ready job is not delivered yet, for people. Absent: nothing is known that it waits for. */
  16: optional string waits_for
}

/** A recurring job. */
struct ScheduleStatus {
  1: string name
  2: string queue
  /** Empty: the schedule has an interval, every_ms. */
  3: string cron
  4: i64 every_ms
  5: string tz
  /** The rule for missed moments: once, skip or all. */
  6: string missed
  /** For example 2026-11-30T06:00:00Z; empty: no moment. */
  7: string next
  8: string last
  /** Jobs pushed since the broker started. */
  9: i64 runs
  /** Length of the body. */
  10: i64 bytes
  /** The reason why the last push was refused; empty: it was stored. A refused push is tried again each second. */
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
  /** calls: calls of the client that have no answer yet; requests: calls that it works on. */
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
  /** For example 127.0.0.1:4711, or "process 4711" on a Unix socket. */
  14: string address
  /** The process at the other end of a Unix socket; 0: not known. */
  15: i64 pid
  /** Bytes of memory that the client makes the broker hold; they count in max_memory. */
  16: i64 memory
}

/** A user that has connected since the start of the broker, and what its sessions have sent. */
struct UserStatus {
  1: string user
  /** Sessions that are connected now. */
  2: i64 sessions
  /** Messages that the user had the right to; a limit may have refused them. */
  3: i64 calls
  4: i64 published
  5: i64 pushed
  6: i64 subscribed
  /** Bytes that have arrived from the user. */
  7: i64 bytes
  /** Messages that the broker has refused: the user has no right to them, or has reached a limit. */
  8: i64 refused
}

/**
 * A cache of a connected client: numbers since its program opened it, over all its handles. The client reports them;
 * the broker adds the last three fields.
 */
struct CacheStatus {
  /** The place of the values: the URL without a login and without options, at most 127 bytes. */
  1: string cache
  /** Found and valid. The next three are among them: found without asking Redis; stale; remembered as absent. */
  2: i64 hits = 0
  3: i64 near_hits = 0
  4: i64 stale_hits = 0
  5: i64 negative_hits = 0
  6: i64 misses = 0
  /** Computations of values that were missing. */
  7: i64 loads = 0
  8: i64 load_failures = 0
  9: i64 stores = 0
  /** Calls that failed because of Redis, including timeouts. */
  10: i64 errors = 0
  11: i64 timeouts = 0
  /** Writes and deletes that were dropped without an error. */
  12: i64 dropped_writes = 0
  /** Redis servers that get no commands now, because several in a row have failed. */
  13: i64 breakers_open = 0
  /** Near entries that were dropped on a message of Redis. */
  14: i64 invalidations = 0
  15: i64 evictions = 0
  /** In the memory of the program, now. */
  16: i64 entries = 0
  17: i64 bytes = 0
  18: i64 max_bytes = 0
  19: optional i64 session
  /** The name of the program. */
  20: optional string client
  /** Time since the report. */
  21: optional i64 age_ms
}

/** Numbers for the time since the start of the broker, and its present state. */
struct Counters {
  1: i64 uptime_ms
  /** The broker's start, in microseconds since 1970: another start of the broker has another epoch. */
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
  /** The reason why a store of queues cannot write. Absent: all stores work. */
  20: optional string degraded
  /** Bytes that clients make the broker hold: the limit max_memory, the bytes in use, and then the bytes in use by
   * kind. */
  21: i64 memory_max
  22: i64 memory_used
  /** Connections and sessions. */
  23: i64 memory_connections
  /** Batches that were received and are not handled yet. */
  24: i64 memory_input
  /** Large bodies that are arriving. */
  25: i64 memory_transfers
  /** Messages that wait to be sent. */
  26: i64 memory_output
  /** Copies of requests that wait for a server, or that may have to be sent again. */
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
  /** The durability of queues without a setting: memory, disk or redis. */
  33: string durability
  /** Calls by their latency, as in MethodStatus, for all services except ferry.Broker. */
  34: list<i64> latencies
  /** True: the broker takes no new work, and stops when all work is done. */
  35: bool draining
}

/** Tells whether a user may do something, and which line of the configuration allows it. */
struct Decision {
  1: bool allowed
  /** For example "[user shop] may = push images.>". Empty: no line allows it, or the broker has no users. */
  2: string rule
  /** The number of the line. 0: there is no line; a built-in administrator may do everything. */
  3: i32 line
}

/** A message that passed through the broker. One of the fields service, topic and queue is set. */
struct TapRecord {
  /** Wall clock, in microseconds since 1970. */
  1: i64 time_us
  /** True: sent by the broker to the session; false: received from the session. */
  2: bool sent
  3: i64 session
  /** The name of the session's program. */
  4: string client
  /** CALL, PUBLISH, JOB or another message of docs/PROTOCOL.md. */
  5: string message
  6: optional string service
  7: optional string topic
  8: optional string queue
  /** Empty: the message has no method. */
  9: string method
  /** The number of the call, push or job; 0: the message has no number. */
  10: i64 id
  /** Length of the whole body; `body` has its first bytes. */
  11: i64 bytes
  12: binary body
  /** Number of records before this one that were lost, because the reader was too slow. */
  13: i64 missed
}

/** The broker itself. */
service Broker {
  list<ServiceStatus> services() (idempotent = "true")
  /**
   * The servers of a service, and its description: that of the given instance, or else the description with the most
   * methods.
   */
  ServiceDescription describe(1: string service, 2: optional string instance) (idempotent = "true")
  /** Statistics of the methods of a service. */
  list<MethodStatus> methods(1: string service) (idempotent = "true")
  list<TopicStatus> topics() (idempotent = "true")
  list<QueueStatus> queues() (idempotent = "true")
  /** One queue, with its settings. */
  QueueStatus queue(1: string queue) (idempotent = "true")
  /** Empty: the broker has no store with shards. */
  list<ShardStatus> shards() (idempotent = "true")
  list<SessionStatus> sessions() (idempotent = "true")
  Counters stats() (idempotent = "true")
  /** The next jobs of a queue, which stay in the queue. limit 0: as many as possible, up to 1 000 jobs and 4 MiB. */
  list<JobStatus> peek(1: string queue, 2: i64 limit = 10) (idempotent = "true")
  /** Deletes all jobs that are not in flight. Returns their number. */
  i64 purge(1: string queue)
  /** Stops the delivery of jobs until `resume`. */
  void pause(1: string queue) (idempotent = "true")
  void resume(1: string queue) (idempotent = "true")
  /** Moves jobs that are not in flight, the next ones to be delivered first; limit 0: all of them. Returns their
   * number. */
  i64 move(1: string from, 2: string to, 3: i64 limit = 0)
  /** From now on each message on a matching topic becomes a job of the queue. A restart keeps the bind. */
  void bind(1: string queue, 2: string pattern) (idempotent = "true")
  void unbind(1: string queue, 2: string pattern)
  /** Changes a setting of the queue. It has precedence over the configuration, and a restart keeps it; an empty value
   * ends it. */
  void configure(1: string queue, 2: string setting, 3: string value) (idempotent = "true")
  /**
   * Pushes a job with this body to the queue at each moment of the schedule. A restart keeps the schedule; a schedule
   * with the same name is replaced. The moments come from a cron line, in the time zone tz (empty: UTC), or from an
   * interval `every` in milliseconds. missed: `once` (or empty), `skip` or `all`.
   */
  void add_schedule(1: string queue, 2: string name, 3: string cron = "", 4: i64 every = 0, 5: string tz = "",
    6: string missed = "", 7: binary body = "") (idempotent = "true")
  list<ScheduleStatus> schedules() (idempotent = "true")
  void remove_schedule(1: string name)
  /** One job, by its number. */
  JobStatus job(1: i64 job) (idempotent = "true")
  /** Removes a job. If a worker has it, the worker is told. */
  void cancel(1: i64 job)
  /** Makes a waiting job the next one that its queue delivers, even if it is delayed. */
  void run_now(1: i64 job)
  /** Moves a job to another queue. If a worker has it, the worker is told. Returns the new number of the job; 0:
   * the queue is at another broker, which chooses the number when it takes the job. */
  i64 move_job(1: i64 job, 2: string to)
  /** The broker takes no new work, finishes its open work, and stops. */
  void drain()
  /**
   * Watches messages whose service, topic or queue matches a pattern: '*' matches one token, '>' at the end one or
   * more. Without patterns it watches all messages. session: only messages of this session; 0: of all sessions.
   * max_body: bytes of each body to report, at most 65536.
   */
  stream<TapRecord> tap(1: list<string> services, 2: list<string> topics, 3: list<string> queues,
    4: i64 session = 0, 5: i32 max_body = 256)
  /** Ends a session. Its program may connect again. */
  void kick(1: i64 session)
  /** Reads the configuration again, as SIGHUP does: as a whole, or not at all if it has an error. */
  void reload()
  /** Tells whether the user (empty: the caller) may do the action (call, serve, …) on this name or pattern. */
  Decision check(1: string user, 2: string action, 3: string name) (idempotent = "true")
  /** Empty if the broker has no users. */
  list<UserStatus> users() (idempotent = "true")
  /** The caches that the connected clients have reported. */
  list<CacheStatus> caches() (idempotent = "true")
  /**
   * Replaces the report of this session, which is kept until the session ends. libferry calls this method for the
   * caches of a client, at most every five seconds and only if numbers have changed. At most 8 caches.
   */
  oneway void report_caches(1: list<CacheStatus> caches)
}
