# SPDX-License-Identifier: Apache-2.0
"""Requests that are malformed, too large or from elsewhere: test-hostile.py FERRY CALC-SERVER

After each of them the listener serves others as before.
"""
from stage import *

HOST = b"Host: 127.0.0.1\r\n"
JSON = b"Content-Type: application/json\r\nFerry-Request: 1\r\n"


def status_of(answer):
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.") else None


def refused(name, data, *statuses):
    """The answer has one of the statuses; None: the connection ends without one."""
    got = status_of(raw(port, data))
    check(got in statuses, name, "is answered with", got, "not", statuses)
    equal(ask(port, "GET", "/healthz").status, 200, f"after {name}")


def malformed():
    close = b"Connection: close\r\n"
    refused("garbage", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", None, 400)
    refused("no version", b"GET /\r\n\r\n", None, 400, 505)
    refused("no host", b"GET /api/queues HTTP/1.1\r\n" + close + b"\r\n", 400, 421)
    refused("HTTP/1.0 without host", b"GET /api/queues HTTP/1.0\r\n\r\n", 400, 421)
    refused("a zero in the path", b"GET /api/queues/a%00b HTTP/1.1\r\n" + HOST + close + b"\r\n", 400)
    refused("a wrong escape", b"GET /api/queues/%zz HTTP/1.1\r\n" + HOST + close + b"\r\n", 400)
    refused("dots", b"GET /../../etc/passwd HTTP/1.1\r\n" + HOST + close + b"\r\n", 404)
    refused("an absolute path", b"GET http://evil.example/api/queues HTTP/1.1\r\n" + HOST + close + b"\r\n", 400, 404)
    refused("a long path", b"GET /" + b"a" * 2000 + b" HTTP/1.1\r\n" + HOST + close + b"\r\n", 400, 414)
    refused("a huge path", b"GET /" + b"a" * 100000 + b" HTTP/1.1\r\n" + HOST + close + b"\r\n", None, 400, 414, 431)
    refused("a huge header", b"GET / HTTP/1.1\r\n" + HOST + b"X: " + b"a" * 100000 + b"\r\n\r\n", None, 413, 431)
    refused("many headers", b"GET / HTTP/1.1\r\n" + HOST + b"X: y\r\n" * 20000 + b"\r\n", None, 413, 431)
    refused("an unknown method", b"BREW / HTTP/1.1\r\n" + HOST + close + b"\r\n", 405)
    refused("TRACE", b"TRACE / HTTP/1.1\r\n" + HOST + close + b"\r\n", 405)
    refused("a preflight", b"OPTIONS /api/queues/mail/pause HTTP/1.1\r\n" + HOST + close +
            b"Origin: http://evil.example\r\nAccess-Control-Request-Method: POST\r\n\r\n", 405)


def bodies():
    head = b"POST /api/queues/mail/set HTTP/1.1\r\n" + HOST + JSON
    refused("a negative length", head + b"Content-Length: -1\r\n\r\n{}", None, 400)
    refused("a length that is no number", head + b"Content-Length: 2x\r\n\r\n{}", None, 400)
    refused("a huge length", head + b"Content-Length: 99999999999999999999999\r\n\r\n{}", None, 400, 413)
    refused("a length over the limit", head + b"Content-Length: 9000000\r\n\r\n{}", 413)
    refused("a wrong chunk", head + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n", None, 400)
    refused("a huge chunk", head + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffff1\r\n{}\r\n0\r\n\r\n", None, 400, 413)
    answer = raw(port, head + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1;x=y\r\n}\r\n0\r\n\r\n")
    equal(status_of(answer), 400, "a body in chunks: 'setting' is missing")
    answer = raw(port, head + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n" +
                 (b"10000\r\n" + b" " * 65536 + b"\r\n") * 140 + b"0\r\n\r\n")
    equal(status_of(answer), 413, "a chunked body over the limit")

    for body in (b"", b"{", b"[]", b"null", b"{}x", b'{"setting": "a", "setting": "b", "value": ""}', b"\xff", b"[" * 100000,
                 b'{"setting": 1, "value": "2"}', b'{"setting": "a\x00", "value": ""}'):
        answer = ask(port, "POST", "/api/queues/mail/set", body, {"Ferry-Request": "1"})
        check(answer.status == 400 and answer.json["detail"], "body", body[:40], answer)


def elsewhere():
    for headers in ({"Host": "evil.example"}, {"Host": "evil.example:5878"}):
        for path in ("/", "/api/queues", "/healthz"):
            equal(ask(port, "GET", path, headers=headers).status, 421, f"{path} {headers}")
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "http://evil.example"}, {"Origin": "null"}):
        equal(ask(port, "GET", "/api/queues", headers=headers).status, 403, f"GET {headers}")
        equal(ask(port, "POST", "/api/queues/mail/pause", {}, dict(headers, **{"Ferry-Request": "1"})).status, 403,
              f"POST {headers}")
    for answer in (ask(port, "GET", "/api/queues"), ask(port, "GET", "/")):
        check("Access-Control-Allow-Origin" not in answer.headers, "no other site may read", answer.headers)


def markup():
    """Names with markup come back as JSON text, in a type that no browser renders."""
    name = "<img src=x onerror=alert(1)>"
    answer = ask(port, "GET", "/api/queues/" + "%3Cscript%3Ealert(1)%3C%2Fscript%3E")
    equal(answer.status, 404, name)
    check(answer.headers["Content-Type"] == "application/problem+json", "type of a problem")
    equal(answer.headers["X-Content-Type-Options"], "nosniff", "nosniff")


def streams():
    """64 event streams, and no more; they end with their readers."""
    opened = [Events(port, "/api/live") for _ in range(64)]
    equal([e.status for e in opened], [200] * 64, "streams")
    equal(ask(port, "GET", "/api/live").status, 503, "one stream more")
    for one in opened:
        one.close()
    until(lambda: Events(port, "/api/live").status == 200)


def silence():
    """A connection that sends nothing, and half a request, do not stop others."""
    idle = [socket.create_connection(("127.0.0.1", port)) for _ in range(50)]
    for one in idle[25:]:
        one.sendall(b"GET /api/queues HTTP/1.1\r\nHost: 127.0.")
    equal(ask(port, "GET", "/api/queues").status, 200, "beside silent connections")
    for one in idle:
        one.close()


try:
    start_broker()
    web, port = start_web()
    until(lambda: ask(port, "GET", "/readyz").status == 200)
    play((malformed, bodies, elsewhere, markup, streams, silence))
    check(web.poll() is None, "the listener still runs")
    equal(stop(web), 0, "the exit status")
except Exception:
    failures.append(traceback.format_exc())
    print(failures[-1])
finally:
    finish()
