#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A client of msgpack-rpc in raw MessagePack, against `ferry gateway msgpack-rpc`.

usage: msgpack-rpc-client.py unix:PATH|HOST:PORT SCENE [PID of the broker]
"""
import os
import signal
import socket
import sys

import msgpack


class Client:
    def __init__(self, address):
        if address.startswith("unix:"):
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.connect(address[5:])
        else:
            host, port = address.rsplit(":", 1)
            self.socket = socket.create_connection((host, int(port)))
        self.socket.settimeout(120)
        self.unpacker = msgpack.Unpacker(raw=False, strict_map_key=True)
        self.last = 0
        self.notifications = []

    def send(self, value):
        self.socket.sendall(value if isinstance(value, bytes) else msgpack.packb(value))

    def receive(self):
        """The next message; None: the gateway has closed the connection."""
        while True:
            for message in self.unpacker:
                return message
            try:
                data = self.socket.recv(65536)
            except ConnectionResetError:
                data = b""
            if not data:
                return None
            self.unpacker.feed(data)

    def request(self, method, *params):
        self.last += 1
        self.send([0, self.last, method, list(params)])
        return self.last

    def response(self, id):
        while True:
            message = self.receive()
            if message[0] == 2:
                self.notifications.append(message)
                continue
            assert message[:2] == [1, id], message
            return message[2], message[3]

    def call(self, method, *params):
        return self.response(self.request(method, *params))

    def notification(self):
        if self.notifications:
            return self.notifications.pop(0)
        message = self.receive()
        assert message[0] == 2, message
        return message


def same(got, wanted):
    assert got == wanted, f"{got!r}, not {wanted!r}"


def calls(client):
    same(client.call("calc.Calc.add", 2, 3), (None, 5))
    same(client.call(b"calc.Calc.add", 2, 3), (None, 5))  # as pynvim sends it
    error, result = client.call("calc.Calc.div", 1, 0)
    assert result is None and error[0] == 0 and error[1].startswith("calc.DivisionByZero"), error
    error, _ = client.call("calc.Calc.absent")
    assert error[0] == 1 and "ferry.NoSuchMethod" in error[1], error
    error, _ = client.call("no.Such.method")
    assert error[0] == 1 and "ferry.NoSuchService" in error[1], error
    error, _ = client.call("calc.Calc.add", "two")
    assert error[0] == 1 and "args" in error[1], error
    error, _ = client.call("add", 2, 3)
    assert error[0] == 1 and "--service" in error[1], error
    # Notifications get no answer, known or unknown; a response to nothing is ignored.
    client.send([2, "calc.Calc.add", [2, 3]])
    client.send([2, "nvim_set_client_info", ["x", {}, "remote", {}, {}]])
    client.send([1, 99, [1, "Unknown message type"], None])
    client.send([0, 7, "calc.Calc.add", {"a": 1}])
    error, _ = client.response(7)
    assert error[0] == 1 and "not a list" in error[1], error
    # In any pieces, many at once.
    for byte in msgpack.packb([0, 8, "calc.Calc.add", [2, 3]]):
        client.send(bytes([byte]))
    same(client.response(8), (None, 5))
    client.send(b"".join(msgpack.packb([0, i, "calc.Calc.add", [i, 1]]) for i in range(100, 1600)))
    answers = {}
    while len(answers) < 1500:
        message = client.receive()
        assert message[2] is None, message
        answers[message[1]] = message[3]
    same(answers, {i: i + 1 for i in range(100, 1600)})


def topics(client):
    plain = client.call("ferry.subscribe", "orders.*")[1]
    formed = client.call("ferry.subscribe", "orders.*",
                         {"method": "nvim_call_function", "args": ["OnOrder"], "unpack": True})[1]
    assert plain != formed
    same(client.call("ferry.publish", "orders.new", "a text"), (None, None))
    wanted = [[2, "ferry.message", ["orders.new", "a text"]],
              [2, "nvim_call_function", ["OnOrder", ["orders.new", "a text"]]]]
    same(sorted([client.notification(), client.notification()], key=str), sorted(wanted, key=str))
    client.send([2, "ferry.publish", ["orders.new", {"n": [1, 2]}]])
    bodies = [client.notification(), client.notification()]
    assert [2, "nvim_call_function", ["OnOrder", ["orders.new", {"n": [1, 2]}]]] in bodies, bodies
    same(client.call("ferry.unsubscribe", plain), (None, None))
    assert "ferry.NotFound" in client.call("ferry.unsubscribe", plain)[0][1]
    client.call("ferry.publish", "orders.old", "b")
    same(client.notification()[1], "nvim_call_function")
    same(client.call("ferry.push", "mail", "a job"), (None, None))
    for params in ([], ["a..b"], ["orders.*", 7], ["orders.*", {"other": 1}], ["orders.*", {"args": 1}],
                   ["orders.*", {"method": "m" * 5000}]):
        error, _ = client.call("ferry.subscribe", *params)
        assert error and error[0] == 1, (params, error)


def maps(client):
    """With --errors map and --service calc.Calc."""
    same(client.call("add", 2, 3), (None, 5))
    error, _ = client.call("div", 1, 0)
    same(error["type"], "calc.DivisionByZero")
    assert error["origin"].startswith("calc.Calc.div on "), error


def bad(client, address):
    """Each of these connections is closed; the first connection continues."""
    for junk in (b"\xc1", b"\x07", msgpack.packb([3, 1, "a", []]), b"\x91" * 40, b"GET / HTTP/1.1\r\n\r\n",
                 msgpack.packb([0, 2 ** 32, "a.b", []]), b"\x94\x00\x01\xa1m\xc6\x7f\xff\xff\xff" + b"x" * 200000):
        other = Client(address)
        try:
            other.send(junk)
        except (BrokenPipeError, ConnectionResetError):
            pass
        same(other.receive(), None)
    same(client.call("calc.Calc.add", 2, 3), (None, 5))
    # Too many requests without reading: the rest waits, and nothing is lost.
    n = 3000
    other = Client(address)
    other.socket.setblocking(False)
    left, got = b"".join(msgpack.packb([0, i, "calc.Calc.say", ["x" * 1000]]) for i in range(n)), 0
    while got < n:
        try:
            left = left[other.socket.send(left[:65536]):] if left else left
        except BlockingIOError:
            pass
        try:
            other.unpacker.feed(other.socket.recv(65536))
            got += sum(1 for _ in other.unpacker)
        except BlockingIOError:
            pass
    same(client.call("calc.Calc.add", 2, 3), (None, 5))


def gone(client, pid):
    """The broker goes away: each request is answered."""
    id = client.request("calc.Calc.add", 2, 3)
    client.response(id)
    os.kill(pid, signal.SIGKILL)
    error, _ = client.call("calc.Calc.add", 2, 3)
    assert error[0] == 0 and "ferry." in error[1], error
    error, _ = client.call("ferry.subscribe", "orders.*")
    assert "ferry." in error[1], error


address, scene = sys.argv[1:3]
first = Client(address)
if scene == "bad":
    bad(first, address)
elif scene == "gone":
    gone(first, int(sys.argv[3]))
else:
    {"calls": calls, "topics": topics, "maps": maps}[scene](first)
print(f"{scene}: passed")
