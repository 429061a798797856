// SPDX-License-Identifier: Apache-2.0
// A client, a server, a subscriber and a worker in JavaScript against the real broker:
// node test-interop.js FERRY. The npm packages zeromq and @msgpack/msgpack are found by NODE_PATH.
"use strict";
const assert = require("assert/strict");
const { spawn } = require("child_process");
const { mkdtempSync, rmSync } = require("fs");
const { connect } = require("net");
const { tmpdir } = require("os");
const { join } = require("path");

let peers;
try {
  peers = require("./peer.js");
} catch (e) {
  if (e.code !== "MODULE_NOT_FOUND") throw e;
  console.log(`skipped: ${e.message.split("\n")[0]}; './dev test' installs it with npm`);
  process.exit(77);
}
const { Peer, RemoteError, ACK, RETRY, REJECT, FORWARD } = peers;

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function until(done) {
  for (let i = 0; i < 1000 && !(await done()); i++) await sleep(10);
  assert(await done(), `never came true: ${done}`);
}

// The socket's file is there before the broker listens, and libzmq does not try again.
const listens = (path) => new Promise((resolve) => {
  const socket = connect(path, () => { socket.destroy(); resolve(true); });
  socket.on("error", () => resolve(false));
});

async function converse(url) {
  const caller = await Peer.open(url, "caller"), server = await Peer.open(url, "server");
  const seen = [], done = [];

  // Calls, both sides
  await server.serve("calc.Calc", async (method, ...args) => {
    if (method === "add") return args.reduce((a, b) => a + b, 0);
    if (method === "echo") return args[0];
    throw new RangeError(`there is no ${method}`);
  }, 4);
  assert.equal(await caller.call("calc.Calc", "add", 2, 3), 5);
  const text = "größe ".repeat(10000);
  assert.equal(await caller.call("calc.Calc", "echo", text), text);
  assert.deepEqual(await Promise.all([...Array(100).keys()].map((i) => caller.call("calc.Calc", "add", i, 1))),
    [...Array(100).keys()].map((i) => i + 1));
  for (const [service, method, type] of [
    ["calc.Calc", "div", "javascript.RangeError"],
    ["calc.Nobody", "add", "ferry.NoSuchService"],
    ["ferry.Broker", "fly", "ferry.NoSuchMethod"],
  ])
    await assert.rejects(caller.call(service, method), (e) => e instanceof RemoteError && e.error.type === type);
  assert.deepEqual((await caller.call("ferry.Broker", "services")).map((s) => s.name), ["calc.Calc"]);

  // Topics, in order, and a question to all subscribers
  await server.subscribe("orders.*", (topic, body, seq) => { seen.push([topic, `${body}`, Number(seq)]); });
  await server.subscribe("room", (topic, question) => `${question}: here`);
  for (let i = 0; i < 100; i++) caller.publish("orders.new", `${i}`);
  caller.publish("other", "");
  await until(() => seen.length === 100);
  assert.deepEqual(seen, [...Array(100).keys()].map((i) => ["orders.new", `${i}`, i + 1]));
  assert.deepEqual((await caller.gather("room", "who", 10000)).map(String), ["who: here"]);

  // Queues: acknowledge, retry, reject, forward, deduplicate
  await server.work("first", async (body, attempt) => {
    if (`${body}` === "twice" && attempt === 1) return [RETRY, 1, "not yet"];
    if (`${body}` === "bad") return [REJECT, "it is bad"];
    done.push(`${body} ${attempt}`);
    return `${body}` === "first" ? [FORWARD, "second", null, null, Buffer.from("forwarded")] : [ACK];
  }, 2);
  await server.work("second", (body, attempt) => { done.push(`${body} ${attempt}`); return [ACK]; });
  for (const body of ["first", "twice", "bad"]) assert(await caller.push("first", body) > 0);
  const number = await caller.push("first", "once", { key: "k" });
  assert(number > 0);
  assert.equal(await caller.push("first", "once", { key: "k" }), number, "a duplicate has the number of the job");
  await until(() => done.length === 4);
  assert.deepEqual(done.sort(), ["first 1", "forwarded 1", "once 1", "twice 2"]);
  await until(async () => (await caller.call("ferry.Broker", "queues")).some((q) => q.name === "first.dead"));
  const [dead] = await caller.call("ferry.Broker", "peek", "first.dead", 10);
  assert.equal(`${Buffer.from(dead.body)}`, "bad");
  assert.equal(dead.reason, "it is bad");

  await caller.close();
  await server.close();
}

async function main() {
  const folder = mkdtempSync(join(tmpdir(), "interop-"));
  const broker = spawn(process.argv[2], ["broker", "--bind", `ipc://${folder}/broker`, "--log-level", "warning"],
    { stdio: "inherit" });
  const exited = new Promise((resolve) => broker.on("exit", resolve));
  try {
    await until(() => listens(`${folder}/broker`));
    await converse(`ipc://${folder}/broker`);
    console.log("interop: calls, errors, topics, gathering, queues: ok");
  } finally {
    broker.kill("SIGTERM");
    assert.equal(await exited, 0);
    rmSync(folder, { recursive: true });
  }
}

main().then(() => process.exit(0), (e) => { console.error(e); process.exit(1); });
