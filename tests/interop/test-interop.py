#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A client and a worker in Python, and wrong sockets, against the real broker: test-interop.py FERRY [keys]. With "keys" they
come over TCP with keys, and peers without the right ones see why they are refused."""
import os, random, shutil, signal, subprocess, sys, tempfile, threading, time

try:
    import peer, zmq
except ModuleNotFoundError as e:
    print(f"skipped: {e}")
    sys.exit(77)

folder = tempfile.mkdtemp()


def new_key(name):
    """The public and the secret key of a new key file."""
    subprocess.run([sys.argv[1], "key", "new", f"{folder}/{name}"], check=True, stdout=subprocess.DEVNULL)
    with open(f"{folder}/{name}") as file:
        lines = dict(line.strip().split(" = ") for line in file if " = " in line)
    return bytes.fromhex(lines["public"]), bytes.fromhex(lines["secret"])


keys = None
url = f"ipc://{folder}/broker"
log = open(f"{folder}/log", "w+")
binds = ["--bind", url]
if sys.argv[2:] == ["keys"]:
    server, own = new_key("server.key"), new_key("own.key")
    keys = own + server[:1]
    url = f"tcp://127.0.0.1:{random.randrange(12000, 21000)}"  # below the ports that the kernel gives to clients
    with open(f"{folder}/conf", "w") as file:
        file.write(f"[server]\nkey = {folder}/server.key\n[user python]\nkey = {own[0].hex()}\nmay = admin\n")
    # The socket file, which this test waits for, comes last.
    binds = ["--bind", url, *binds, "--config", f"{folder}/conf"]


def set_keys(zmq_socket, keys):
    for option, key in zip((zmq.CURVE_PUBLICKEY, zmq.CURVE_SECRETKEY, zmq.CURVE_SERVERKEY), keys):
        zmq_socket.setsockopt(option, key)


def refusal(*keys):
    """The event by which libzmq reports that the broker refuses a DEALER with these keys."""
    from zmq.utils.monitor import recv_monitor_message
    dealer = zmq.Context.instance().socket(zmq.DEALER)
    dealer.setsockopt(zmq.LINGER, 0)
    set_keys(dealer, keys)
    monitor = dealer.get_monitor_socket()
    dealer.connect(url)
    try:
        while monitor.poll(20000):
            event = recv_monitor_message(monitor)
            if event["event"] in (zmq.EVENT_HANDSHAKE_FAILED_AUTH, zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL):
                return event["event"], event["value"]
    finally:
        dealer.disable_monitor()
        dealer.close()


broker = subprocess.Popen([sys.argv[1], "broker", *binds, "--log-level", "warning"], stderr=log)
stop, loop = threading.Event(), None
try:
    peer.wait_for_broker(f"{folder}/broker")
    calls, served, seen, done = peer.Peer(url, "caller", keys or ()), peer.Peer(url, "server", keys or ()), [], []

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
    assert again[:3] == [None, number, peer.DROPPED_BY_KEY], again
    calls.until(lambda: len(seen) == 100 and len(done) == 4)
    assert seen == [("orders.new", b"%d" % i, i + 1) for i in range(100)], seen
    assert sorted(done) == [(b"first", 1), (b"forwarded", 1), (b"once", 1), (b"twice", 2)], done
    dead = calls.call("ferry.Broker", "peek", "first.dead", 10)
    assert [d["body"] for d in dead] == [b"bad"] and dead[0]["reason"] == "it is bad", dead

    big = os.urandom(300_000)  # goes in parts, both ways
    served.handlers["calc.Calc"] = lambda method, text: text
    assert calls.call("calc.Calc", "echo", big) == big
    if keys:
        stranger = new_key("stranger.key")
        assert refusal(*stranger, server[0]) == (zmq.EVENT_HANDSHAKE_FAILED_AUTH, 400)
        mismatch = zmq.PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH if hasattr(
            zmq, "PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH") else 0x11000001
        assert refusal() == (zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL, mismatch), refusal()
    print("interop: calls, errors, topics, queues: ok")

    # Sockets of other types are refused, each with a line in the log.
    refused = lambda: open(f"{folder}/log").read().count("its socket has the wrong type")
    for kind in (zmq.PUSH, zmq.SUB, zmq.REQ):
        before, deadline = refused(), time.monotonic() + 60
        wrong = zmq.Context.instance().socket(kind)
        wrong.setsockopt(zmq.LINGER, 0)
        set_keys(wrong, keys or ())
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
