# SPDX-License-Identifier: Apache-2.0
"""A listener that a service manager has opened, as systemd passes it: test-activation.py FERRY CALC-SERVER"""
from stage import *


def activated(listener, *options, count=1, pid="$$", **more):
    """`ferry web` with the socket as its descriptor 3."""
    listener.set_inheritable(True)
    script = f'export LISTEN_PID={pid} LISTEN_FDS={count}; exec 3<&{listener.fileno()} "$@"'
    return start("bash", "-c", script, "bash", ferry, "web", *options, pass_fds=[listener.fileno()], text=True,
                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)


def bound(family=socket.AF_INET, kind=socket.SOCK_STREAM, address=("127.0.0.1", 0), listens=True):
    found = socket.socket(family, kind)
    found.bind(address)
    if listens:
        found.listen()
    return found


def requests_wait_for_the_program():
    """A request that comes before the program starts is answered by it; the manager hears that it is ready."""
    manager = bound(socket.AF_UNIX, socket.SOCK_DGRAM, f"{scratch}/notify", listens=False)
    manager.settimeout(PATIENCE_S)
    environment["NOTIFY_SOCKET"] = f"{scratch}/notify"
    with bound() as listener:
        port = listener.getsockname()[1]
        early = socket.create_connection(("127.0.0.1", port), PATIENCE_S)
        early.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        web = activated(listener)
    equal(manager.recv(100), b"READY=1", "the state")
    del environment["NOTIFY_SOCKET"]
    equal(web.stdout.readline(), f"http://127.0.0.1:{port}/\n", "the address")
    check(early.recv(100).startswith(b"HTTP/1.1 200"), "the early request")
    until(lambda: ask(port, "GET", "/readyz").status == 200)
    equal(stop(web), 0, "the exit status")


def refused():
    """Other sockets than one of TCP on loopback; --listen beside it. A socket of another process is left alone."""
    for what, listener, options, told in (
            ("a Unix socket", bound(socket.AF_UNIX, address=f"{scratch}/web"), {}, "is not a TCP socket that listens"),
            ("datagrams", bound(kind=socket.SOCK_DGRAM, listens=False), {}, "is not a TCP socket that listens"),
            ("no listener", bound(listens=False), {}, "is not a TCP socket that listens"),
            ("all addresses", bound(address=("0.0.0.0", 0)), {}, "is not a loopback address"),
            ("a closed one", bound(), {"count": 2}, "several sockets, or a closed one")):
        with listener:
            web = activated(listener, **options)
        said = web.communicate(timeout=PATIENCE_S)[1]
        check(web.returncode > 0 and told in said, what, said)
    with bound() as listener:
        web = activated(listener, "--listen", "127.0.0.1:0")
        check("leave out --listen" in web.communicate(timeout=PATIENCE_S)[1], "--listen")
        web = activated(listener, "--listen", "127.0.0.1:0", pid=1)
        check(web.stdout.readline() != f"http://127.0.0.1:{listener.getsockname()[1]}/\n", "of another process")
        equal(stop(web), 0, "the exit status")


try:
    start_broker()
    play((requests_wait_for_the_program, refused))
except Exception:
    failures.append(traceback.format_exc())
    print(failures[-1])
finally:
    finish()
