# SPDX-License-Identifier: Apache-2.0
"""The peers, the rows of each table, and the targets."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Peer:
    """A load generator build/bench/bench-NAME, the server it talks to, and where both come from."""
    server: str = ""
    packages: tuple = ()
    npm: str = ""  # a package in build/npm; then the generator is bench/peers/NAME.js


PEERS = {
    "ferry": Peer("ferry"),
    "nats": Peer("nats-server", ("nats-server", "libnats-dev", "openssl")),
    "rabbitmq": Peer("rabbitmq-server", ("rabbitmq-server", "librabbitmq-dev")),
    "redis": Peer("redis-server", ("redis-server", "libhiredis-dev")),
    "bullmq": Peer("redis-server", ("redis-server", "nodejs", "npm"), npm="bullmq"),
    "zmq": Peer("", ("libzmq3-dev",)),
    "raw": Peer(),
    "msgpack": Peer("", ("libmsgpack-dev",)),
    "thrift": Peer("", ("thrift-compiler", "libthrift-c-glib-dev", "libglib2.0-dev")),
}


@dataclass(frozen=True)
class Row:
    label: str
    peer: str
    variant: str
    window: int = 1
    server: str = ""  # "": the peer's server
    limit: bool = False  # not a rival: the row shows a limit of the kernel or of libzmq


@dataclass(frozen=True)
class Section:
    name: str
    title: str
    unit: str  # of the metric
    rows: tuple
    ends: tuple = (1,)
    ends_are: str = ""
    sizes: tuple = (64, 1024)
    metric: str = "rate"
    columns: tuple = ()  # further columns: metric, heading
    mode: str = ""  # the SECTION argument of the load generators; "": the name


SECTIONS = (
    Section("calls", "Calls, many in flight, one client and one server", "calls/s", (
        Row("ferry, 1000 in flight", "ferry", "async", 1000),
        Row("NATS, 1024 in flight", "nats", "buffered", 1024),
        Row("NATS, 4096 in flight", "nats", "buffered", 4096),
        Row("NATS, 16384 in flight", "nats", "buffered", 16384),
        Row("libzmq through zmq_proxy", "zmq", "proxy", 1024, limit=True),
        Row("libzmq DEALER-ROUTER, direct", "zmq", "direct", 1024, limit=True),
        Row("TCP, relayed", "raw", "hop", 256, limit=True),
        Row("TCP, direct", "raw", "direct", 256, limit=True),
    )),
    Section("latency", "One call at a time", "p50 us", (
        Row("ferry", "ferry", "sync"),
        Row("NATS, send as soon as possible", "nats", "asap"),
        Row("libzmq through zmq_proxy", "zmq", "proxy", limit=True),
        Row("libzmq DEALER-ROUTER, direct", "zmq", "direct", limit=True),
        Row("TCP, relayed", "raw", "hop", limit=True),
        Row("TCP with a spin of 50 us, relayed", "raw", "hop-spin", limit=True),
        Row("TCP, direct", "raw", "direct", limit=True),
        Row("TCP with a spin of 50 us, direct", "raw", "direct-spin", limit=True),
    ), metric="p50_us"),
    Section("callers", "One call at a time from each caller, one server", "p50 us", (
        Row("ferry", "ferry", "sync", 1000),
        Row("NATS, send as soon as possible", "nats", "asap"),
        Row("libzmq through zmq_proxy", "zmq", "proxy", limit=True),
    ), ends=(1, 2, 10, 100), ends_are="callers", sizes=(64,), metric="p50_us"),
    Section("direct", "Calls straight to a server, many in flight", "calls/s", (
        Row("ferry, direct, 1000 in flight", "ferry", "direct", 1000),
        Row("Thrift C, 1000 in flight", "thrift", "bytes", 1000),
        Row("Thrift C, 4000 in flight", "thrift", "bytes", 4000),
        Row("TCP, direct", "raw", "direct", 256, limit=True),
    ), sizes=(64,), mode="calls"),
    Section("direct-latency", "One call at a time, straight to a server", "p50 us", (
        Row("ferry, direct", "ferry", "direct"),
        Row("ferry, direct, Unix socket", "ferry", "direct-unix"),
        Row("Thrift C", "thrift", "bytes"),
        Row("TCP, direct", "raw", "direct", limit=True),
    ), sizes=(64,), metric="p50_us", mode="latency"),
    Section("bodies", "Calls with large bodies, 8 in flight", "calls/s", (
        Row("ferry", "ferry", "async", 8),
        Row("NATS", "nats", "buffered", 8),
        Row("libzmq through zmq_proxy", "zmq", "proxy", 8),
        Row("libzmq DEALER-ROUTER, direct", "zmq", "direct", 8, limit=True),
    ), sizes=(65536, 1048576), mode="calls"),
    Section("pubsub", "One publisher, nothing lost", "deliveries/s", (
        Row("ferry", "ferry", "loop"),
        Row("NATS", "nats", "buffered"),
        Row("libzmq XSUB/XPUB proxy, mark of 1000", "zmq", "proxy", 1000),
        Row("libzmq XSUB/XPUB proxy, mark of 20000", "zmq", "proxy", 20000),
        Row("Redis PUBLISH, pipeline of 1024", "redis", "pipelined", 1024),
    ), ends=(1, 4, 100), ends_are="subscribers"),
    Section("calls-encrypted", "Encrypted calls, many in flight", "calls/s", (
        Row("ferry with CURVE, 1000 in flight", "ferry", "async", 1000, server="ferry with keys"),
        Row("NATS with TLS, 1024 in flight", "nats", "buffered", 1024, server="nats with TLS"),
        Row("NATS with TLS, 4096 in flight", "nats", "buffered", 4096, server="nats with TLS"),
        Row("NATS with TLS, 16384 in flight", "nats", "buffered", 16384, server="nats with TLS"),
    ), mode="calls"),
    Section("latency-encrypted", "One encrypted call at a time", "p50 us", (
        Row("ferry with CURVE", "ferry", "sync", server="ferry with keys"),
        Row("NATS with TLS, send as soon as possible", "nats", "asap", server="nats with TLS"),
    ), metric="p50_us", mode="latency"),
    Section("pubsub-encrypted", "One publisher, encrypted, nothing lost", "deliveries/s", (
        Row("ferry with CURVE", "ferry", "loop", server="ferry with keys"),
        Row("NATS with TLS", "nats", "buffered", server="nats with TLS"),
    ), ends_are="subscribers", mode="pubsub"),
    Section("queue", "Push, work, acknowledge; queue in memory", "jobs/s", (
        Row("ferry", "ferry", "memory", 512),
        Row("JetStream in memory, fetch of 512", "nats", "memory", 512),
        Row("JetStream in memory, fetch of 1024", "nats", "memory", 1024),
        Row("Redis Streams, batches of 64", "redis", "stream", 64),
        Row("Redis Streams, batches of 256", "redis", "stream", 256),
        Row("Redis lists, batches of 256", "redis", "list", 256),
    ), ends=(1, 4), ends_are="workers"),
    Section("durable", "Push, work, acknowledge; queue on disk", "jobs/s", (
        Row("ferry, flushed", "ferry", "disk", 512, server="ferry on disk"),
        Row("Redis Streams, appendfsync always, batches of 256", "redis", "stream", 256,
            server="redis on disk"),
        Row("RabbitMQ, durable and persistent, 512 unacknowledged", "rabbitmq", "disk", 512),
        Row("JetStream in files, not flushed, fetch of 512", "nats", "file", 512),
    ), ends=(1, 4), ends_are="workers", sizes=(64,)),
    Section("redis-store", "Push, work, acknowledge; queue in Redis", "jobs/s", (
        Row("ferry, its queues in Redis", "ferry", "memory", 512, server="ferry in redis"),
        Row("Redis Streams by hand, batches of 64", "redis", "stream", 64),
        Row("Redis Streams by hand, batches of 256", "redis", "stream", 256),
        Row("BullMQ, 256 jobs at once", "bullmq", "bulk", 256),
    ), ends=(1, 4), ends_are="workers", sizes=(64,), mode="queue"),
    Section("stored", "Confirmed pushes to a queue on disk, 1000 in flight", "jobs/s", (
        Row("ferry, flushed", "ferry", "async", 1000, server="ferry on disk"),
        Row("RabbitMQ, durable and persistent", "rabbitmq", "async", 1000),
        Row("Redis Streams, appendfsync always", "redis", "pipelined", 1000, server="redis on disk"),
        Row("JetStream in files, not flushed", "nats", "file", 1000),
    )),
    Section("flush", "One confirmed push at a time", "p50 us", (
        Row("ferry, flushed", "ferry", "sync", server="ferry on disk"),
        Row("RabbitMQ, durable and persistent", "rabbitmq", "sync"),
        Row("Redis Streams, appendfsync always", "redis", "stream", server="redis on disk"),
        Row("JetStream in files, not flushed", "nats", "file"),
        Row("write and fdatasync of one file", "raw", "flush", limit=True),
    ), metric="p50_us", sizes=(64,)),
    Section("beside", "One call at a time, beside a store that commits as fast as it can", "p99 us", (
        Row("ferry, the store commits", "ferry", "busy", server="ferry on disk"),
        Row("ferry, no pushes", "ferry", "quiet", server="ferry on disk"),
    ), metric="p99_us", sizes=(64,), columns=(("p50_us", "p50 us"),)),
    Section("memory", "Memory for each of 1000 idle connections", "KiB", (
        Row("ferry", "ferry", "idle", 1000),
        Row("NATS", "nats", "idle", 1000),
        Row("libzmq ROUTER", "zmq", "router", 1000, limit=True),
    ), sizes=(0,), metric="kib"),
    Section("typed", "Calls with a struct of ten fields, many in flight", "calls/s", (
        Row("ferry, generated code, 1000 in flight", "ferry", "typed", 1000),
        Row("ferry, the same bytes untyped", "ferry", "untyped", 1000),
        Row("Thrift C, direct, 1000 in flight", "thrift", "framed", 1000),
        Row("Thrift C, direct, 4000 in flight", "thrift", "framed", 4000),
    ), sizes=(0,)),
    Section("streams", "1 GiB there and back through one stream", "MiB/s", (
        Row("ferry", "ferry", "echo"),
        Row("libzmq through zmq_proxy", "zmq", "proxy", 32, limit=True),
        Row("libzmq DEALER-ROUTER, direct", "zmq", "direct", 32, limit=True),
    ), sizes=(16384, 65536), columns=(("peak_mib", "peak MiB"),)),
    Section("codec", "Packing and unpacking a struct of ten fields", "structs/s", (
        Row("ferry, generated code", "ferry", "tables"),
        Row("msgpack-c by hand", "msgpack", "msgpack"),
    ), sizes=(0,)),
)


@dataclass(frozen=True)
class Target:
    """A bound for ferry's figure divided by that of the best row whose label starts with `against`."""
    text: str
    section: str
    against: tuple
    bound: float
    size: int = 64
    ends: int = 1
    metric: str = ""  # "": the section's metric
    at_most: bool = False
    alone: bool = False  # the bound is for ferry's own figure, not for a ratio


TARGETS = (
    Target("calls, 64 B: 3x NATS", "calls", ("NATS",), 3.0),
    Target("calls, 1 KiB: 6x NATS", "calls", ("NATS",), 6.0, size=1024),
    Target("calls, 64 KiB: ahead of NATS and zmq_proxy", "bodies", ("NATS", "libzmq through"), 1.0,
           size=65536),
    Target("calls, 1 MiB: ahead of NATS and zmq_proxy", "bodies", ("NATS", "libzmq through"), 1.0,
           size=1048576),
    Target("one call, p50: at most 0.45x NATS", "latency", ("NATS",), 0.45, at_most=True),
    Target("one call, p50: at most 1.6x TCP, relayed", "latency", ("TCP, relayed",), 1.6,
           at_most=True),
    Target("one call, processor: at most 0.5x NATS", "latency", ("NATS",), 0.5, metric="cpu_us",
           at_most=True),
    Target("direct calls, 64 B: 3x Thrift", "direct", ("Thrift C, 1000",), 3.0),
    Target("one direct call, p50: at most 1x Thrift", "direct-latency", ("Thrift",), 1.0,
           at_most=True),
    Target("one direct call, p50: at most 1.5x TCP, direct", "direct-latency", ("TCP, direct",),
           1.5, at_most=True),
    Target("publish to 1: 3x NATS and XSUB/XPUB", "pubsub", ("NATS", "libzmq"), 3.0),
    Target("publish to 4: 3x NATS and XSUB/XPUB", "pubsub", ("NATS", "libzmq"), 3.0, ends=4),
    Target("publish to 1, 1 KiB: ahead of every peer", "pubsub", ("NATS", "libzmq", "Redis"), 1.0,
           size=1024),
    Target("publish to 4, 1 KiB: ahead of every peer", "pubsub", ("NATS", "libzmq", "Redis"), 1.0,
           size=1024, ends=4),
    Target("encrypted calls, 64 B: 1.5x NATS with TLS", "calls-encrypted", ("NATS",), 1.5),
    Target("encrypted calls, 1 KiB: 1.5x NATS with TLS", "calls-encrypted", ("NATS",), 1.5,
           size=1024),
    Target("one encrypted call, p50: at most 0.9x NATS with TLS", "latency-encrypted", ("NATS",),
           0.9, at_most=True),
    Target("encrypted publish to 1: 1.5x NATS with TLS", "pubsub-encrypted", ("NATS",), 1.5),
    Target("queue, 1 worker: 4x JetStream", "queue", ("JetStream",), 4.0),
    Target("queue, 1 worker: 1.5x Redis Streams", "queue", ("Redis Streams",), 1.5),
    Target("queue, 4 workers: 4x JetStream", "queue", ("JetStream",), 4.0, ends=4),
    Target("queue, 4 workers: 1.5x Redis Streams", "queue", ("Redis Streams",), 1.5, ends=4),
    Target("in Redis: 0.7x Redis Streams by hand", "redis-store", ("Redis Streams",), 0.7),
    Target("in Redis: 2x BullMQ", "redis-store", ("BullMQ",), 2.0),
    Target("in Redis, 4 workers: 0.7x Redis Streams by hand", "redis-store", ("Redis Streams",), 0.7,
           ends=4),
    Target("in Redis, 4 workers: 2x BullMQ", "redis-store", ("BullMQ",), 2.0, ends=4),
    Target("on disk, pushes: 4x RabbitMQ", "stored", ("RabbitMQ",), 4.0),
    Target("on disk, pushes: 2x JetStream in files", "stored", ("JetStream",), 2.0),
    Target("on disk, push and work: 3x RabbitMQ and Redis", "durable", ("RabbitMQ", "Redis"), 3.0),
    Target("on disk, push and work, 4 workers: 3x RabbitMQ and Redis", "durable",
           ("RabbitMQ", "Redis"), 3.0, ends=4),
    Target("on disk, one push: at most 1.5x a flush", "flush", ("write and",), 1.5, at_most=True),
    Target("one call, p99: at most 2x beside a busy store", "beside", ("ferry, no pushes",), 2.0,
           at_most=True),
    Target("typed calls: 2x Thrift", "typed", ("Thrift",), 2.0, size=0),
    Target("typed calls: 0.7x untyped ones", "typed", ("ferry, the same",), 0.7, size=0),
    Target("packing and unpacking: 1x msgpack-c", "codec", ("msgpack",), 1.0, size=0),
    Target("stream, 16 KiB: 0.5x libzmq through a proxy", "streams", ("libzmq through",), 0.5,
           size=16384),
    Target("stream, 64 KiB: 0.5x libzmq through a proxy", "streams", ("libzmq through",), 0.5,
           size=65536),
    Target("stream, 16 KiB: 0.5x libzmq direct", "streams", ("libzmq DEALER",), 0.5, size=16384),
    Target("stream, 64 KiB: 0.8x libzmq direct", "streams", ("libzmq DEALER",), 0.8, size=65536),
    Target("stream, memory of any process: 32 MiB", "streams", (), 32.0, size=65536,
           metric="peak_mib", at_most=True, alone=True),
    Target("idle connection: 4 KiB", "memory", (), 4.0, size=0, at_most=True, alone=True),
)
