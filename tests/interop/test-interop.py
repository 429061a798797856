#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A client and a worker in Python, and wrong sockets, against the real broker: test-interop.py FERRY."""
import os, shutil, signal, subprocess, sys, tempfile, threading, time

try:
    import peer, zmq
except ModuleNotFoundError as e:
    print(f"skipped: {e}")
    sys.exit(77)

folder = tempfile.mkdtemp()
url = f"ipc://{folder}/broker"
log = open(f"{folder}/log", "w+")
broker = subprocess.Popen([sys.argv[1], "broker", "--bind", url, "--log-level", "warning"], stderr=log)
stop, loop = threading.Event(), None
try:
    for _ in range(500):
        if os.path.exists(f"{folder}/broker"):
            break
        time.sleep(0.01)
    calls, served, seen, done = peer.Peer(url, "caller"), peer.Peer(url, "server"), [], []

    def calculate(method, *args):
        return {"add": lambda: sum(args), "div": lambda: args[0] // args[1]}[method]()

    def work(body, attempt):
        if body == b"twice" and attempt == 1:
            return (peer.RETRY, 1, "not yet")
        if body == b"bad":
            return (peer.REJECT, "it is bad")
        done.append((body, attempt))
        if body == b"first":
            return (peer.FORWARD, "second", None, None, b"forwarded")
        return (peer.ACK,)

    served.serve("calc.Calc", calculate, slots=4)
    served.work("first", work, slots=2)
    served.work("second", work)
    served.subscribe("orders.*", lambda topic, body, seq: seen.append((topic, body, seq)))
    loop = threading.Thread(target=lambda: [served.step(0.1) for _ in iter(stop.is_set, True)])
    loop.start()

    assert calls.call("calc.Calc", "add", 2, 3) == 5
    for service, method, args, expected in (
            ("calc.Calc", "div", (1, 0), "python.ZeroDivisionError"),
            ("calc.Nobody", "add", (), "ferry.NoSuchService"),
            ("ferry.Broker", "fly", (), "ferry.NoSuchMethod")):
        try:
            calls.call(service, method, *args)
            assert False, method
        except peer.RemoteError as e:
            assert e.error["type"] == expected, e
    names = [s["name"] for s in calls.call("ferry.Broker", "services")]
    assert names == ["calc.Calc"], names

    for i in range(100):
        calls.publish("orders.new", b"%d" % i)
    calls.publish("other", b"")
    assert calls.push("first", b"first")[1] > 0
    calls.push("first", b"twice")
    calls.push("first", b"bad")
    number = calls.push("first", b"once", key="k")[1]
    assert number > 0
    again = calls.push("first", b"once", key="k")
    assert again == (None, number, peer.DROPPED_BY_KEY), again
    calls._until(lambda: len(seen) == 100 and len(done) == 4)
    assert seen == [("orders.new", b"%d" % i, i + 1) for i in range(100)], seen
    assert sorted(done) == [(b"first", 1), (b"forwarded", 1), (b"once", 1), (b"twice", 2)], done
    dead = calls.call("ferry.Broker", "peek", "first.dead", 10)
    assert [d["body"] for d in dead] == [b"bad"] and dead[0]["reason"] == "it is bad", dead

    big = os.urandom(100_000)
    served.services["calc.Calc"] = lambda method, text: text
    assert calls.call("calc.Calc", "echo", big) == big
    print("interop: calls, errors, topics, queues: ok")

    # Sockets of other types are refused, each with a line in the log.
    refused = lambda: open(f"{folder}/log").read().count("its socket has the wrong type")
    for kind in (zmq.PUSH, zmq.SUB, zmq.REQ):
        before, deadline = refused(), time.monotonic() + 60
        wrong = zmq.Context.instance().socket(kind)
        wrong.setsockopt(zmq.LINGER, 0)
        wrong.connect(url)
        while refused() == before:
            assert time.monotonic() < deadline, kind
            time.sleep(0.02)
        wrong.close()
    assert calls.call("calc.Calc", "echo", "still here") == "still here"
    print("interop: PUSH, SUB and REQ are refused")
finally:
    stop.set()
    if loop:
        loop.join()
    broker.send_signal(signal.SIGTERM)
    status = broker.wait(10)
    sys.stderr.write(open(f"{folder}/log").read())
    shutil.rmtree(folder)
sys.exit(status)
