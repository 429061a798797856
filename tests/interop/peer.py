# SPDX-License-Identifier: Apache-2.0
"""A ferry client in Python, written from docs/PROTOCOL.md alone: nothing of ferry's is imported."""
import io, itertools, os, socket, time
import msgpack, zmq

HELLO, WELCOME, PING, PONG, CREDIT, PART, BYE, FAULT = range(1, 9)
OK, ERROR, SERVE, CALL = 10, 11, 16, 18
SUBSCRIBE, PUBLISH, MESSAGE = 32, 34, 35
PUSH, PULL, JOB, ACK, RETRY, REJECT, FORWARD = 48, 49, 51, 52, 53, 54, 57
BODY = {OK: 1, CALL: 8, MESSAGE: 5, JOB: 4, PUBLISH: 5, PUSH: 5}  # the place of the body behind the op
DROPPED_BY_KEY = 2  # the outcome of a push whose key the queue remembers
HEAD, GRANT = b"\xf7\x01", 1 << 20


class RemoteError(Exception):
    def __init__(self, error):
        super().__init__(f"{error['type']}: {error.get('message', '')}")
        self.error = error


def wait_for_broker(path, timeout=120.0):
    """The socket's file is there before the broker listens, and libzmq does not try again."""
    ends = time.monotonic() + timeout
    while time.monotonic() < ends:
        with socket.socket(socket.AF_UNIX) as probe:
            if probe.connect_ex(path) == 0:
                return
        time.sleep(0.01)
    raise TimeoutError


class Peer:
    def __init__(self, url, name="python", keys=()):
        """keys: the client's public and secret key, and the broker's public key: 32 bytes each."""
        self.socket = zmq.Context.instance().socket(zmq.DEALER)
        for option, value in ((zmq.RECONNECT_IVL, 3600000), (zmq.RCVHWM, 0), (zmq.LINGER, 1000),
                              (zmq.HEARTBEAT_IVL, 2000), (zmq.HEARTBEAT_TIMEOUT, 6000),
                              *zip((zmq.CURVE_PUBLICKEY, zmq.CURVE_SECRETKEY, zmq.CURVE_SERVERKEY), keys)):
            self.socket.setsockopt(option, value)
        self.socket.connect(url)
        self.ids, self.transfers, self.credit, self.handled = itertools.count(1), itertools.count(1), 0, 0
        self.answers, self.inbox, self.parts = {}, [], {}
        self.handlers = {}  # by service, or by the id of SUBSCRIBE or PULL
        self.write(HELLO, 1, 1, os.urandom(16), GRANT, 0, None, name)
        self.until(lambda: self.credit > 0)

    def write(self, *message):
        batch = HEAD + msgpack.packb(message)
        self.socket.send(batch)
        return len(batch)

    def send(self, op, *fields):
        """Any message but session control: it needs credit. A large body goes ahead in parts."""
        body = fields[BODY[op]] if len(fields) > BODY.get(op, 99) else None
        if body and len(body) > 128 << 10:
            transfer = next(self.transfers)
            for at in range(0, len(body), 64 << 10):
                self.send(PART, transfer, body[at:at + (64 << 10)])
            fields = (*fields[:BODY[op]], transfer, *fields[BODY[op] + 1:])
        self.until(lambda: self.credit > 0)
        self.credit -= self.write(op, *fields)

    def receive(self, timeout):
        """Takes in one batch; false: no batch came in time."""
        if not self.socket.poll(int(timeout * 1000)):
            return False
        batch = self.socket.recv()
        assert batch[:2] == HEAD, batch
        for op, *fields in msgpack.Unpacker(io.BytesIO(batch[2:])):
            self.take(op, fields)
        if op >= OK or op == PART:
            self.handled += len(batch)
        if self.handled > GRANT // 4:
            self.write(CREDIT, self.handled)
            self.handled = 0
        return True

    def take(self, op, fields):
        at = BODY.get(op, 99)
        if len(fields) > at and isinstance(fields[at], int):
            fields[at] = self.parts.pop(fields[at])
        if op == WELCOME:
            self.credit = fields[3]
        elif op == PING:
            self.write(PONG, *fields[:1])
        elif op == CREDIT:
            self.credit += fields[0]
        elif op == PART:
            self.parts[fields[0]] = self.parts.get(fields[0], b"") + fields[1]
        elif op in (BYE, FAULT):
            raise RemoteError(fields[0] if op == FAULT else {"type": f"BYE {fields}"})
        elif op in (OK, ERROR):
            self.answers[fields[0]] = (op, fields[1:])
        elif op in (CALL, MESSAGE, JOB):
            self.inbox.append((op, fields))

    def until(self, done, timeout=120.0):
        ends = time.monotonic() + timeout
        while not done():
            if time.monotonic() > ends:
                raise TimeoutError
            self.receive(0.1)

    def ask(self, op, *fields, handler=None):
        """Sends a message with a new id and waits for its answer, which may come after its first jobs."""
        id = next(self.ids)
        self.handlers.update({id: handler} if handler else {})
        self.send(op, id, *fields)
        self.until(lambda: id in self.answers)
        answer, rest = self.answers.pop(id)
        if answer == ERROR:
            raise RemoteError(rest[0])
        return rest

    def call(self, service, method, *args, timeout_ms=0):
        rest = self.ask(CALL, timeout_ms, 0, 0, service, method, "", None, msgpack.packb(args))
        return msgpack.unpackb(rest[0]) if rest and rest[0] is not None else None

    def serve(self, service, handler, slots=1):
        self.handlers[service] = handler
        self.ask(SERVE, service, slots)

    def subscribe(self, pattern, handler):
        self.ask(SUBSCRIBE, pattern, handler=handler)

    def publish(self, topic, body):
        self.send(PUBLISH, 0, 0, 0, topic, None, body)

    def push(self, queue, body, **options):
        return self.ask(PUSH, 0, queue, options, None, body)

    def work(self, queue, handler, slots=1):
        self.ask(PULL, queue, slots, handler=handler)

    def step(self, timeout=120.0):
        """Handles what has come in, or the next batch. False: nothing came."""
        if not self.inbox and not self.receive(timeout):
            return False
        while self.inbox:
            op, fields = self.inbox.pop(0)
            handler = self.handlers[fields[4 if op == CALL else 0]]
            if op == MESSAGE:
                handler(fields[3], fields[5], fields[1])
            elif op == JOB:
                settle, *rest = handler(fields[4], fields[2])
                self.ask(settle, *fields[1:3], *rest)
            else:
                try:
                    self.send(OK, fields[0], msgpack.packb(handler(fields[5], *msgpack.unpackb(fields[8]))))
                except Exception as e:
                    self.send(ERROR, fields[0], {"type": f"python.{type(e).__name__}", "message": str(e)})
        return True
