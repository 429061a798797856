# SPDX-License-Identifier: Apache-2.0
"""website: the front and its applications, asked by curl, by raw sockets and by headless Chromium.

    website.py FERRY EXAMPLES-BUILD-FOLDER
"""
import os
import pathlib
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

ferry, examples = sys.argv[1], pathlib.Path(sys.argv[2])
scratch = pathlib.Path(tempfile.mkdtemp(prefix="ferry-website-"))
site = scratch / "site"
children = []


def start(*words, **more):
    child = subprocess.Popen([str(word) for word in words], **more)
    children.append(child)
    return child


def stop_all():
    for child in reversed(children):
        child.send_signal(signal.SIGTERM)
        child.wait()
    shutil.rmtree(scratch)


def curl(path, *options):
    url = f"http://127.0.0.1:{port}{path}"
    done = subprocess.run(["curl", "-sS", "--path-as-is", *options, url], capture_output=True, timeout=60)
    return done.stdout


def status(path, *options):
    return int(curl(path, "-o", str(scratch / "out"), "-w", "%{http_code}", *options))


# ---- the hazard ----


def notes_server(listener):
    """The notes' server, once: it serves one connection after another."""
    for _ in range(2):
        connection, _ = listener.accept()
        request = b""
        while b"\n\n" not in request and b"\n\r\n" not in request:
            piece = connection.recv(1024)
            if not piece:
                break  # the notes' has no such line, and spins here for ever
            request += piece
        connection.sendall(b"HTTP/1.0 200 OK\r\n\r\nHello World")
        connection.close()


def one_slow_client_holds_up_the_notes_server():
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=notes_server, args=(listener,), daemon=True).start()
    slow = socket.create_connection(listener.getsockname())
    slow.sendall(b"GET / HTTP/1.0\r\n")  # and no more
    quick = socket.create_connection(listener.getsockname())
    quick.sendall(b"GET / HTTP/1.0\r\n\r\n")
    assert select.select([quick], [], [], 0.5)[0] == []  # no answer comes
    slow.close()
    assert b"Hello World" in quick.recv(1024)  # only now
    quick.close()
    listener.close()


def slow_clients_hold_up_nobody_here():
    slow = [socket.create_connection(("127.0.0.1", port)) for _ in range(20)]
    for one in slow:
        one.sendall(b"POST /environ HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345")
    assert curl("/hello") == b"Hello World"
    slow[0].sendall(b"67890")  # and the patient are served as well
    assert b"'wsgi.input': '10 bytes'" in read_all(slow[0], b"}\n")
    for one in slow:
        one.close()


def read_all(connection, end):
    data = b""
    while end not in data and (piece := connection.recv(65536)):
        data += piece
    return data


# ---- the applications ----


def hello_and_index():
    assert curl("/hello") == b"Hello World"
    head = curl("/hello", "-I").decode()
    assert "200 OK" in head and "Content-Length: 11" in head and "charset=utf-8" in head
    assert b'<a href="/files/">' in curl("/")
    assert status("/nowhere") == 404
    assert status("/hello", "-X", "DELETE") == 405


def the_environment_has_all_keys_of_wsgi():
    text = curl("/environ?a=1&b=%20", "-d", "x=1", "-H", "X-Two: two words").decode()
    assert text.startswith("Here is the WSGI environment:\r\n\r\n")
    environ = dict(re.findall(r"'([^']+)': '([^']*)'", text))
    expected = {
        "REQUEST_METHOD": "POST", "SCRIPT_NAME": "", "PATH_INFO": "/environ",
        "QUERY_STRING": "a=1&b=%20", "CONTENT_TYPE": "application/x-www-form-urlencoded",
        "CONTENT_LENGTH": "3", "SERVER_NAME": "127.0.0.1", "SERVER_PORT": str(port),
        "SERVER_PROTOCOL": "HTTP/1.1", "REMOTE_ADDR": "127.0.0.1", "HTTP_X_TWO": "two words",
        "HTTP_HOST": f"127.0.0.1:{port}", "GATEWAY_INTERFACE": "CGI/1.1", "wsgi.version": "(1, 0)",
        "wsgi.url_scheme": "http", "wsgi.input": "3 bytes", "wsgi.multithread": "True",
        "wsgi.multiprocess": "True", "wsgi.run_once": "False",
    }
    for key, value in expected.items():
        assert environ.get(key) == value, (key, environ.get(key))
    assert "wsgi.errors" in environ and "HTTP_ACCEPT" in environ
    assert list(environ) == sorted(environ)


def files_and_listings():
    assert curl("/files/fox.txt") == b"The quick brown fox.\n"
    assert curl("/files/deep/large.bin") == (site / "deep" / "large.bin").read_bytes()
    assert "Content-Length: 3000000" in curl("/files/deep/large.bin", "-I").decode()
    listing = curl("/files/").decode()
    assert '<a href="deep/">deep/</a>' in listing and '<a href="fox.txt">' in listing
    assert "&lt;b&gt;&amp;.txt" in listing and "%3Cb%3E%26.txt" in listing  # no name becomes markup
    assert curl("/files/%3Cb%3E%26.txt") == b"odd"
    assert curl("/files/inside") == b"The quick brown fox.\n"  # a link that stays inside
    assert status("/files/none") == 404
    assert status("/files/pipe") == 403  # and the server does not wait for a writer


def no_path_leaves_the_folder():
    ways = ["../secret", "deep/../../secret", "%2e%2e/secret", "..%2fsecret", "out", "out-folder/secret",
            "/etc/passwd", "%2fetc/passwd", "deep/../../site/../secret", "....//secret", ".", "..",
            f"..{scratch}/secret", "%00/../secret", "self/root/etc/passwd"]
    for way in ways:
        body = curl("/files/" + way)
        assert b"SECRET" not in body and b"root:" not in body, way
        assert status("/files/" + way) in (200, 400, 403, 404), way
    assert status("/files/out") == 403 and status("/files/../secret") == 403


def connections_are_kept():
    said = curl("/hello", "-o", os.devnull, "-w", "%{num_connects} ",
                f"http://127.0.0.1:{port}/", "-o", os.devnull).decode()
    assert said.split() == ["1", "0"], said
    alone = curl("/hello", "-H", "Connection: close", "-i").decode()
    assert "Connection: close" in alone


def slow_pages_come_piece_by_piece():
    connection = socket.create_connection(("127.0.0.1", port))
    connection.sendall(b"GET /slow?pieces=4&pause=100 HTTP/1.1\r\nHost: a\r\n\r\n")
    said = read_all(connection, b"0\r\n\r\n")
    assert b"Transfer-Encoding: chunked" in said
    chunks = re.findall(rb"\r\n([0-9A-Fa-f]+)\r\n(piece \d of 4\n)(?=\r\n)", said)
    assert [text for _, text in chunks] == [b"piece %d of 4\n" % i for i in (1, 2, 3, 4)], said
    connection.close()


def requests_that_are_too_large_or_not_text():
    (scratch / "large").write_bytes(b"x" * 1500000)
    assert status("/environ", "--data-binary", f"@{scratch}/large") == 413
    assert status("/%ff") == 400
    assert status("/hello%00") == 400


def without_servers_the_front_says_so():
    for server in servers:
        server.send_signal(signal.SIGTERM)
        server.wait()
        children.remove(server)
    assert status("/hello") == 503
    text = (scratch / "out").read_text()
    assert "website" in text, text


def in_a_browser():
    browser = next(filter(None, map(shutil.which, ("chromium-headless-shell", "chromium"))), None)
    if not browser:
        print("(no Chromium: not asked)")
        return
    done = subprocess.run(
        [browser, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--dump-dom",
         f"--user-data-dir={scratch}/profile", f"http://127.0.0.1:{port}/files/"],
        capture_output=True, timeout=400)
    assert b"Directory listing for /files/" in done.stdout, done


try:
    site.mkdir()
    (site / "deep").mkdir()
    (site / "fox.txt").write_text("The quick brown fox.\n")
    (site / "<b>&.txt").write_text("odd")
    (site / "deep" / "large.bin").write_bytes(os.urandom(3000000))
    (site / "out").symlink_to(scratch / "secret")
    (site / "out-folder").symlink_to(scratch)
    (site / "self").symlink_to("/proc/self")
    (site / "inside").symlink_to("fox.txt")
    os.mkfifo(site / "pipe")
    (scratch / "secret").write_text("SECRET")
    os.environ.update(FERRY_URL=f"ipc://{scratch}/ferry", WEBSITE_FOLDER=str(site))
    one_slow_client_holds_up_the_notes_server()
    start(ferry, "broker", "--bind", os.environ["FERRY_URL"], "--log-level", "warning")
    front = start(examples / "website-front", 0, stdout=subprocess.PIPE, text=True)
    port = int(re.search(r"port (\d+)", front.stdout.readline())[1])
    servers = [start(examples / "website-server") for _ in range(2)]
    for _ in range(2400):
        said = subprocess.run([ferry, "services"], capture_output=True, text=True).stdout
        if re.search(r"website\.Website\s+2", said):
            break
        time.sleep(0.05)
    for test in (slow_clients_hold_up_nobody_here, hello_and_index, the_environment_has_all_keys_of_wsgi,
                 files_and_listings, no_path_leaves_the_folder, connections_are_kept,
                 slow_pages_come_piece_by_piece, requests_that_are_too_large_or_not_text, in_a_browser,
                 without_servers_the_front_says_so):
        print(test.__name__, flush=True)
        test()
    print("passed")
finally:
    stop_all()
