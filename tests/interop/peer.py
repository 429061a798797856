# SPDX-License-Identifier: Apache-2.0
"""A ferry client in Python, written from docs/PROTOCOL.md alone: nothing of ferry's is imported."""
import itertools, os, time
import msgpack, zmq

HELLO, WELCOME, PING, PONG, CREDIT, BYE, FAULT = 1, 2, 3, 4, 5, 7, 8
OK, ERROR, SERVE, CALL = 10, 11, 16, 18
SUBSCRIBE, PUBLISH, MESSAGE, GAP = 32, 34, 35, 37
PUSH, PULL, JOB, ACK, RETRY, REJECT, FORWARD = 48, 49, 51, 52, 53, 54, 57
DROPPED_BY_KEY = 2  # the outcome of a push whose key the queue remembers
HEAD, GRANT = b"\xf7\x01", 1 << 20


class RemoteError(Exception):
    def __init__(self, error):
        super().__init__(f"{error['type']}: {error.get('message', '')}")
        self.error = error


class Peer:
    def __init__(self, url, name="python", keys=None):
        """keys: the client's public and secret key, and the broker's public key: 32 bytes each."""
        self.context = zmq.Context.instance()
        self.socket = self.context.socket(zmq.DEALER)
        for option, value in ((zmq.RECONNECT_IVL, -1), (zmq.RCVHWM, 0), (zmq.LINGER, 200),
                              (zmq.HEARTBEAT_IVL, 2000), (zmq.HEARTBEAT_TIMEOUT, 6000),
                              (zmq.HEARTBEAT_TTL, 6000)):
            self.socket.setsockopt(option, value)
        if keys:
            for option, key in zip((zmq.CURVE_PUBLICKEY, zmq.CURVE_SECRETKEY, zmq.CURVE_SERVERKEY), keys):
                self.socket.setsockopt(option, key)
        self.socket.connect(url)
        self.ids, self.answers, self.inbox = itertools.count(1), {}, []
        self.credit, self.handled, self.limits = 0, 0, None
        self.services, self.subscriptions, self.pulls = {}, {}, {}
        self._control([HELLO, 1, 1, os.urandom(16), GRANT, 0, None, name])
        self._until(lambda: self.limits is not None)

    def _control(self, message):
        self.socket.send(HEAD + msgpack.packb(message))

    def send(self, message):
        self._until(lambda: self.credit > 0)
        batch = HEAD + msgpack.packb(message)
        self.credit -= len(batch)
        self.socket.send(batch)

    def receive(self, timeout=5.0):
        """Takes in one batch; false when none came in time."""
        if not self.socket.poll(int(timeout * 1000)):
            return False
        batch = self.socket.recv()
        assert batch[:2] == HEAD, batch
        control = False
        for message in self._messages(batch):
            control = message[0] < OK and message[0] != 6
            self._take(*message)
        if not control:
            self.handled += len(batch)
            if self.handled > GRANT // 4:
                self._control([CREDIT, self.handled])
                self.handled = 0
        return True

    @staticmethod
    def _messages(batch):
        unpacker = msgpack.Unpacker(raw=False)
        unpacker.feed(batch[2:])
        return list(unpacker)

    def _take(self, op, *fields):
        if op == WELCOME:
            self.limits, self.credit = fields[4], fields[3]
        elif op == PING:
            self._control([PONG, *fields[:1]])
        elif op == CREDIT:
            self.credit += fields[0]
        elif op in (FAULT, BYE):
            raise RemoteError(fields[0] if op == FAULT else {"type": "BYE", "message": fields[0]})
        elif op in (OK, ERROR):
            self.answers[fields[0]] = (op, fields[1:])
        elif op in (CALL, MESSAGE, GAP, JOB):
            self.inbox.append((op, fields))

    def _until(self, done, timeout=10.0):
        ends = time.monotonic() + timeout
        while not done():
            if time.monotonic() > ends:
                raise TimeoutError
            self.receive(0.1)

    def ask(self, op, *fields):
        """Sends a message with an id, waits for its one answer."""
        id = next(self.ids)
        self.send([op, id, *fields])
        self._until(lambda: id in self.answers)
        answer, rest = self.answers.pop(id)
        if answer == ERROR:
            raise RemoteError(rest[0])
        return id, rest

    def call(self, service, method, *args, timeout_ms=0):
        body = msgpack.packb(list(args))
        _, rest = self.ask(CALL, timeout_ms, 0, 0, service, method, "", None, body)
        return msgpack.unpackb(rest[0]) if rest and rest[0] is not None else None

    def serve(self, service, handler, slots=1):
        self.ask(SERVE, service, slots)
        self.services[service] = handler

    def subscribe(self, pattern, handler):
        id, _ = self.ask(SUBSCRIBE, pattern)
        self.subscriptions[id] = handler

    def publish(self, topic, body):
        self.send([PUBLISH, 0, 0, 0, topic, None, body])

    def push(self, queue, body, **options):
        return self.ask(PUSH, 0, queue, options or None, None, body)[1]

    def work(self, queue, handler, slots=1):
        id, _ = self.ask(PULL, queue, slots)
        self.pulls[id] = handler

    def step(self, timeout=5.0):
        """Handles what has come in, or the next thing that does. False: nothing came."""
        if not self.inbox and not self.receive(timeout):
            return False
        while self.inbox:
            op, fields = self.inbox.pop(0)
            if op == CALL:
                id, service, method, body = fields[0], fields[4], fields[5], fields[8]
                try:
                    result = self.services[service](method, *msgpack.unpackb(body))
                    self.send([OK, id, msgpack.packb(result)])
                except Exception as e:
                    self.send([ERROR, id, {"type": f"python.{type(e).__name__}", "message": str(e)}])
            elif op == MESSAGE:
                self.subscriptions[fields[0]](fields[3], fields[5], fields[1])
            elif op == JOB:
                pull, job, attempt, _, body = fields[:5]
                settle, *rest = self.pulls[pull](body, attempt)
                self.ask(settle, job, attempt, *rest)
        return True
