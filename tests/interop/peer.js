// SPDX-License-Identifier: Apache-2.0
// A ferry client in JavaScript, written from docs/PROTOCOL.md alone: nothing of ferry's is imported.
"use strict";
const { randomBytes } = require("crypto");
const { Dealer } = require("zeromq");
const { encode, decode, decodeMulti } = require("@msgpack/msgpack");

const [HELLO, WELCOME, PING, PONG, CREDIT, PART, BYE, FAULT] = [1, 2, 3, 4, 5, 6, 7, 8];
const [OK, ERROR, SERVE, CALL] = [10, 11, 16, 18];
const [SUBSCRIBE, PUBLISH, MESSAGE, ANSWER] = [32, 34, 35, 36];
const [PUSH, PULL, JOB, ACK, RETRY, REJECT, FORWARD] = [48, 49, 51, 52, 53, 54, 57];
const HEAD = Buffer.from([0xf7, 0x01]), GRANT = 1 << 20, GATHER = 2;
const big = { useBigInt64: true }; // numbers of jobs have up to 63 bits

const pack = (value) => Buffer.from(encode(value, big));
const unpack = (bytes) => (bytes && bytes.length ? decode(bytes, big) : null);

class RemoteError extends Error {
  constructor(error) {
    super(`${error.type}: ${error.message ?? ""}`);
    this.error = error;
  }
}

class Peer {
  static async open(url, name = "javascript") {
    const peer = new Peer();
    peer.socket = new Dealer({ reconnectInterval: -1, receiveHighWaterMark: 0, linger: 200,
      heartbeatInterval: 2000, heartbeatTimeout: 6000, heartbeatTimeToLive: 6000 });
    peer.socket.connect(url);
    Object.assign(peer, { id: 0, credit: 0, handled: 0, waiting: [], sent: Promise.resolve(),
      answers: new Map(), services: new Map(), subscriptions: new Map(), pulls: new Map() });
    const welcome = new Promise((resolve) => { peer.welcome = resolve; });
    peer.control([HELLO, 1, 1, randomBytes(16), GRANT, 0, null, name]);
    peer.ended = peer.read();
    await Promise.race([welcome, peer.ended]);
    return peer;
  }

  // ---- batches: one message in each ----

  write(batch) { // ZeroMQ takes one frame at a time
    this.sent = this.sent.then(() => this.socket.send(batch));
    return this.sent;
  }

  control(message) { return this.write(Buffer.concat([HEAD, pack(message)])); }

  send(message) {
    this.waiting.push(Buffer.concat([HEAD, pack(message)]));
    this.flush();
  }

  flush() {
    while (this.credit > 0 && this.waiting.length > 0) {
      const batch = this.waiting.shift();
      this.credit -= batch.length;
      this.write(batch);
    }
  }

  async read() {
    for await (const [batch] of this.socket) {
      if (batch[0] !== HEAD[0] || batch[1] !== HEAD[1]) throw new Error("not a batch");
      let control = false;
      for (const message of decodeMulti(batch.subarray(2), big)) {
        control = message[0] < OK && message[0] !== PART;
        this.take(message);
      }
      if (!control && (this.handled += batch.length) > GRANT / 4) {
        this.control([CREDIT, this.handled]);
        this.handled = 0;
      }
    }
  }

  take([op, ...fields]) {
    if (op === WELCOME) {
      this.credit = Number(fields[3]);
      this.welcome();
    } else if (op === PING) {
      this.control([PONG, ...fields.slice(0, 1)]);
    } else if (op === CREDIT) {
      this.credit += Number(fields[0]);
      this.flush();
    } else if (op === FAULT || op === BYE) {
      throw new RemoteError(op === FAULT ? fields[0] : { type: "BYE", message: fields[0] });
    } else if (op === OK || op === ERROR) {
      const { resolve, reject } = this.answers.get(fields[0]);
      this.answers.delete(fields[0]);
      op === OK ? resolve(fields.slice(1)) : reject(new RemoteError(fields[1]));
    } else if (op === ANSWER) {
      this.answers.get(fields[0]).gathered.push(Buffer.from(fields[1] ?? []));
    } else if (op === CALL) {
      this.serveOne(fields);
    } else if (op === MESSAGE) {
      const [sub, seq, reply, topic, , body] = fields;
      const answer = this.subscriptions.get(sub)(topic, Buffer.from(body ?? []), seq);
      if (reply && answer !== undefined) this.send([ANSWER, reply, Buffer.from(answer)]);
    } else if (op === JOB) {
      this.workOne(fields);
    }
  }

  // ---- asking ----

  start(op, ...fields) { // a message with an id; its one answer is a promise
    const id = ++this.id, gathered = [];
    const answer = new Promise((resolve, reject) => {
      this.answers.set(id, { resolve, reject, gathered });
    });
    this.send([op, id, ...fields]);
    return { id, answer, gathered };
  }

  async ask(op, ...fields) { return this.start(op, ...fields).answer; }

  async call(service, method, ...args) {
    const [body] = await this.ask(CALL, 0, 0, 0, service, method, "", null, pack(args));
    return unpack(body);
  }

  publish(topic, body) { this.send([PUBLISH, 0, 0, 0, topic, null, Buffer.from(body)]); }

  async gather(topic, body, windowMs) {
    const asked = this.start(PUBLISH, GATHER, windowMs, topic, null, Buffer.from(body));
    await asked.answer;
    return asked.gathered;
  }

  async push(queue, body, options = null) {
    return (await this.ask(PUSH, 0, queue, options, null, Buffer.from(body)))[1];
  }

  // ---- serving, subscribing, working: handlers are functions, which may be async ----

  async serve(service, handler, slots = 1) {
    this.services.set(service, handler);
    await this.ask(SERVE, service, slots);
  }

  async serveOne([id, , , , service, method, , , body]) {
    try {
      this.send([OK, id, pack(await this.services.get(service)(method, ...unpack(body)))]);
    } catch (e) {
      this.send([ERROR, id, { type: `javascript.${e.name}`, message: e.message }]);
    }
  }

  async subscribe(pattern, handler) {
    const asked = this.start(SUBSCRIBE, pattern);
    this.subscriptions.set(asked.id, handler);
    await asked.answer;
  }

  async work(queue, handler, slots = 1) {
    const asked = this.start(PULL, queue, slots);
    this.pulls.set(asked.id, handler);
    await asked.answer;
  }

  async workOne([pull, job, attempt, , body]) { // the handler returns [ACK], [RETRY, ms, text], …
    const [settle, ...rest] = await this.pulls.get(pull)(Buffer.from(body ?? []), Number(attempt));
    await this.ask(settle, job, attempt, ...rest);
  }

  async close() {
    this.ended.catch(() => {});
    await this.control([BYE, "bye"]);
    this.socket.close();
  }
}

module.exports = { Peer, RemoteError, ACK, RETRY, REJECT, FORWARD };
