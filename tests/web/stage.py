# SPDX-License-Identifier: Apache-2.0
"""A broker, a listener and a calculator for the tests of the HTTP side, and functions for requests to them.

    from stage import *        the script's arguments: FERRY CALC-SERVER
"""
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback

ferry, calc_server = sys.argv[1:3]
scratch = pathlib.Path(tempfile.mkdtemp(prefix="ferry-web-"))
url = f"ipc://{scratch}/broker"
environment = dict(os.environ, FERRY_URL=url)
children = []
failures = []
PATIENCE_S = 120  # for things that must happen: only a hang takes this long


def start(*words, **more):
    child = subprocess.Popen([str(word) for word in words], env=environment, **more)
    children.append(child)
    return child


def stop(child):
    child.send_signal(signal.SIGTERM)
    status = child.wait(PATIENCE_S)
    children.remove(child)
    return status


def run(*words, **more):
    done = subprocess.run([ferry, *words], env=environment, capture_output=True, text=True, timeout=60, **more)
    if done.returncode:
        print("ferry", *words, done.stderr)
    return done.stdout


def start_broker(*options):
    return start(ferry, "broker", "--bind", url, "--log-level", "error", *options)


def start_web(*options):
    """The listener, and its port."""
    child = start(ferry, "web", "--listen", "127.0.0.1:0", *options, stdout=subprocess.PIPE, text=True)
    return child, int(child.stdout.readline().rsplit(":", 1)[1].strip("/\n"))


def check(is_true, *told):
    if not is_true:
        failures.append(told)
        print("FAILED", *told)
    return is_true


def equal(got, wanted, what):
    return check(got == wanted, what, "is", got, "not", wanted)


class Answer:
    def __init__(self, response):
        self.status, self.headers, self.raw = response.status, response.headers, response.read()

    @property
    def json(self):
        return json.loads(self.raw)

    def __repr__(self):
        return f"<{self.status} {self.raw[:300]}>"


def ask(port, method, path, body=None, headers=(), content_type="application/json"):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    sent = dict(headers)
    if method == "POST" and content_type:
        sent.setdefault("Content-Type", content_type)
    if body is not None and not isinstance(body, (bytes, str)):
        body = json.dumps(body)
    connection.request(method, path, body, sent)
    answer = Answer(connection.getresponse())
    connection.close()
    return answer


def until(fn):
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        found = fn()
        if found:
            return found
        time.sleep(0.02)
    check(False, "never came true")


class Events:
    """An event stream; next() waits for the next event and returns (event, id, data as JSON)."""

    def __init__(self, port, path, headers=()):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
        self.connection.request("GET", path, headers=dict(headers))
        self.response = self.connection.getresponse()
        self.status = self.response.status

    def next(self, wanted=None):
        event, number, data = None, None, None
        while True:
            line = self.response.readline()
            if not line:
                return None
            line = line.decode().rstrip("\n")
            key, _, value = line.partition(": ")
            if key == "event":
                event = value
            elif key == "id":
                number = value
            elif key == "data":
                data = json.loads(value)
            elif not line and event:
                if wanted in (None, event):
                    return event, number, data
                event = None

    def close(self):
        self.connection.close()


def raw(port, data, read_all=True):
    """Sends bytes; returns all that comes back until the end."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as connection:
        connection.sendall(data)
        got = b""
        while read_all:
            try:
                piece = connection.recv(65536)
            except ConnectionResetError:
                break
            if not piece:
                break
            got += piece
        return got


def play(scenes):
    """Runs the scenes one after another; an exception is a failure."""
    for scene in scenes:
        began = time.monotonic()
        try:
            scene()
        except Exception:
            failures.append(scene.__name__)
            traceback.print_exc()
            print(f"FAILED {scene.__name__}")
        print(f"{scene.__name__}: {time.monotonic() - began:.1f} s", flush=True)


def finish():
    for child in reversed(children):
        child.kill()
        child.wait()
    shutil.rmtree(scratch, ignore_errors=True)
    sys.exit(bool(failures))
