#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A client answers calls that the broker did not send to it: forged-replies.py FERRY EXAMPLES.

The caller draws a thousand lucky numbers while the forger, with a session of its own, sends answers
with all ids that it can guess. The caller must get every answer from the server.
"""
import os, shutil, subprocess, sys, tempfile, time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../interop"))
try:
    import peer
    import msgpack
except ModuleNotFoundError as e:
    print(f"skipped: {e}")
    sys.exit(77)

ferry, examples = sys.argv[1:3]
folder = tempfile.mkdtemp()
url = f"ipc://{folder}/broker"
environment = dict(os.environ, FERRY_URL=url)
started = []


def start(*command, **options):
    started.append(subprocess.Popen(command, env=environment, **options))
    return started[-1]


def wait_for(condition):
    ends = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < ends, "this took too long"
        time.sleep(0.05)


try:
    start(ferry, "broker", "--bind", url, "--log-level", "warning")
    peer.wait_for_broker(f"{folder}/broker")
    start(f"{examples}/lucky-server")
    stranger = peer.Peer(url, "stranger")
    services = lambda: [s["name"] for s in stranger.call("ferry.Broker", "services")]
    wait_for(lambda: "lucky.Lucky" in services())
    lie = msgpack.packb("You are hacked!")
    client = start(f"{examples}/lucky-client", "1000", "0.5", stdout=subprocess.PIPE, text=True)
    sent = 0
    while client.poll() is None:
        # Small ids are the client's own and the broker's; those with bit 63 are of streams.
        for id in [*range(1, 3000), *range(2**63 + 1, 2**63 + 20)]:
            stranger.send(peer.OK, id, lie)
            sent += 1
        stranger.receive(0)
    out = client.communicate()[0]
    print(out, f"{sent} forged replies were sent", sep="")
    assert client.returncode == 0, client.returncode
    assert " 0 failed" in out and sent >= 3000
    assert stranger.call("ferry.Broker", "stats"), "the stranger itself is still served"
finally:
    for process in reversed(started):
        process.terminate()
        process.wait()
    shutil.rmtree(folder)
