// SPDX-License-Identifier: Apache-2.0
// BullMQ on the Redis under test: one process adds jobs in bulk, each worker is a process of its own. It takes
// the words of the load generators in C (bench/lab.h), and prints the same line of JSON.
"use strict";

const { fork } = require("node:child_process");
const fs = require("node:fs");
const { parseArgs } = require("node:util");
const { Queue, Worker } = require("bullmq");

const WARM_UP_MS = 300;
const LEAD = 10000; // jobs that the producer may be ahead of all workers together
const BULK = 256; // jobs added by one call
const TELL_MS = 10; // how often a worker tells its count
const PATIENCE_MS = 20000;
const TICKS_PER_S = 100; // of /proc/PID/stat

const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: Object.fromEntries(
        ["size", "window", "ends", "port", "pid", "seconds", "role"].map((name) => [
            name,
            { type: "string", multiple: name === "pid" },
        ]),
    ),
});
const connection = { host: "127.0.0.1", port: Number(values.port), maxRetriesPerRequest: null };
const NAME = "bench";

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function cpuSeconds(pid) {
    const fields = fs.readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1].split(" ");
    return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_S;
}

function work() {
    let n = 0;
    new Worker(NAME, async () => void n++, {
        connection,
        concurrency: Number(values.window),
        removeOnComplete: { count: 0 },
    });
    setInterval(() => process.send({ consumed: n }), TELL_MS);
}

async function produce() {
    const queue = new Queue(NAME, { connection });
    const job = { name: "j", data: "x".repeat(Number(values.size)), opts: { removeOnComplete: true } };
    let consumed = 0;

    process.on("message", (message) => (consumed = message.consumed));
    for (let sent = 0; ; ) {
        if (sent - consumed >= LEAD) {
            await sleep(1);
            continue;
        }
        await queue.addBulk(Array(BULK).fill(job));
        sent += BULK;
    }
}

function start(role) {
    const child = fork(__filename, [...process.argv.slice(2), "--role", role]);
    child.on("exit", (status) => {
        console.error(`the ${role} ended with ${status}`);
        process.exit(1);
    });
    return child;
}

async function measure() {
    const counts = Array(Number(values.ends)).fill(0);
    const workers = counts.map((_, i) => {
        const worker = start("work");
        worker.on("message", (message) => (counts[i] = message.consumed));
        return worker;
    });
    const producer = start("produce");
    const all = [...workers, producer];
    const pids = [process.pid, ...all.map((child) => child.pid), ...(values.pid ?? [])];
    const total = () => counts.reduce((sum, n) => sum + n, 0);
    const cpu = () => pids.reduce((sum, pid) => sum + cpuSeconds(pid), 0);
    const look = () => ({ at: performance.now(), n: total(), cpu: cpu() });

    const timer = setInterval(() => producer.send({ consumed: total() }), TELL_MS);
    for (const until = performance.now() + PATIENCE_MS; counts.some((n) => n === 0); await sleep(1))
        if (performance.now() > until) throw new Error("a worker got nothing");
    await sleep(WARM_UP_MS);
    const from = look();
    let to;
    do {
        if (performance.now() > from.at + PATIENCE_MS) throw new Error("the workers stopped working");
        await sleep(Number(values.seconds) * 1000);
        to = look();
    } while (to.n === from.n);
    const n = to.n - from.n;
    console.log(
        JSON.stringify({ rate: n / ((to.at - from.at) / 1000), cpu_us: ((to.cpu - from.cpu) * 1e6) / n, n }),
    );
    clearInterval(timer);
    for (const child of all) child.removeAllListeners("exit").kill("SIGKILL");
    const queue = new Queue(NAME, { connection });
    await queue.obliterate({ force: true });
    process.exit(0);
}

if (!values.role && `${positionals}` !== "queue,bulk") {
    console.error("usage: bullmq.js queue bulk --port N --size N --window N --ends N --seconds S [--pid N]");
    process.exit(2);
}
if (values.role) process.on("disconnect", () => process.exit(0)); // the parent has ended
const roles = { work, produce };
Promise.resolve((roles[values.role] ?? measure)()).catch((error) => {
    console.error(error.message);
    process.exit(1);
});
