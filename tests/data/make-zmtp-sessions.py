#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Records what ZeroMQ sockets really send, for the tests of rpc/zmtp: make-zmtp-sessions.py FOLDER

Each session runs over loopback through a relay that keeps the bytes of each direction. The tests
replay the files in tests/data/zmtp; this program is run by hand, when a newer libzmq is to be added.
It needs pyzmq; the sessions called libzmq-* use the C library itself.
"""
import ctypes
import ctypes.util
import pathlib
import socket
import sys
import threading
import time

import zmq


class Relay:
    """Listens on a free port, and passes one connection on to another port."""

    def __init__(self, to):
        self.to, self.sent, self.received = to, b"", b""
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        client = self.listener.accept()[0]
        server = socket.create_connection(("127.0.0.1", self.to))
        threading.Thread(target=self.copy, args=(client, server, "sent"), daemon=True).start()
        threading.Thread(target=self.copy, args=(server, client, "received"), daemon=True).start()

    def copy(self, source, target, name):
        try:
            while data := source.recv(65536):
                setattr(self, name, getattr(self, name) + data)
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass


def bodies():
    """A short frame, an empty one, the longest short one, the shortest long one, a larger one."""
    return [b"hello", b"", b"s" * 255, b"l" * 256, bytes(range(256)) * 16]


def with_pyzmq(port, kind, **options):
    dealer = zmq.Context.instance().socket(getattr(zmq, kind))
    dealer.setsockopt(zmq.LINGER, 1000)
    for name, value in options.items():
        dealer.setsockopt(getattr(zmq, name), value)
    dealer.connect(f"tcp://127.0.0.1:{port}")
    if kind == "SUB":
        dealer.setsockopt(zmq.SUBSCRIBE, b"a")
    else:
        for body in bodies() if kind == "DEALER" else bodies()[:1]:
            dealer.send(body)
    time.sleep(1)
    dealer.close()


def with_libzmq(port):
    library = ctypes.CDLL(ctypes.util.find_library("zmq"))
    library.zmq_ctx_new.restype = library.zmq_socket.restype = ctypes.c_void_p
    context = ctypes.c_void_p(library.zmq_ctx_new())
    dealer = ctypes.c_void_p(library.zmq_socket(context, ctypes.c_int(zmq.DEALER)))
    assert library.zmq_connect(dealer, f"tcp://127.0.0.1:{port}".encode()) == 0
    for body in bodies():
        assert library.zmq_send(dealer, body, ctypes.c_size_t(len(body)), 0) == len(body)
    time.sleep(1)
    library.zmq_close(dealer)


def record(folder, name, run):
    router = zmq.Context.instance().socket(zmq.ROUTER)
    relay = Relay(router.bind_to_random_port("tcp://127.0.0.1"))
    client = threading.Thread(target=run, args=(relay.port,))
    client.start()
    if name.endswith("dealer"):  # each message is sent back
        for _ in bodies():
            router.send_multipart(router.recv_multipart())
    client.join()
    time.sleep(0.1)
    router.close()
    (folder / name).write_bytes(relay.sent)
    if name.endswith("dealer"):
        (folder / name.replace("dealer", "router")).write_bytes(relay.received)


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(exist_ok=True)
    record(folder, "libzmq-dealer", with_libzmq)
    record(folder, "pyzmq-dealer", lambda port: with_pyzmq(port, "DEALER"))
    record(folder, "pyzmq-heartbeat-dealer",
           lambda port: with_pyzmq(port, "DEALER", IDENTITY=b"somebody", HEARTBEAT_IVL=300,
                                   HEARTBEAT_TTL=6000))
    record(folder, "pyzmq-req", lambda port: with_pyzmq(port, "REQ"))
    record(folder, "pyzmq-sub", lambda port: with_pyzmq(port, "SUB"))
    record(folder, "pyzmq-push", lambda port: with_pyzmq(port, "PUSH"))


main()
