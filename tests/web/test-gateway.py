# SPDX-License-Identifier: Apache-2.0
"""Calls, topics and queues over HTTP, OpenAPI, and JSON-RPC: test-gateway.py FERRY CALC-SERVER"""
import threading

from stage import *

BIG = 2**53 + 1


def call(method, args, status, headers=(), service="calc.Calc"):
    answer = ask(port, "POST", f"/v1/call/{service}/{method}", args, headers)
    check(answer.status == status, f"{method}({args})", "is answered with", answer, "not", status)
    return answer.json if answer.raw else None


def calls():
    equal(call("add", [2, 3], 200), 5, "in order")
    equal(call("add", {"b": 3, "a": 2}, 200), 5, "by name")
    equal(call("add", ["2", "3"], 200), 5, "integers as texts")
    equal(call("squares", {"range": {"low": 1, "high": 3}}, 200), [1, 4, 9], "a struct")
    equal(call("widen", {"range": {"low": 1, "high": 3, "step": None}}, 200), {"low": 0, "high": 4}, "a default")
    equal(call("opposite", ["UP"], 200), "DOWN", "an enum")
    equal(call("nothing", [], 204), None, "void")
    equal(call("note", ["x"], 202), {}, "oneway")
    equal(call("say", {"text": "<script>", "after": "\u20ac"}, 200), "<script>\u20ac", "a text")
    equal(call("nothing", None, 204), None, "no body")


def errors():
    problem = call("div", [7, 0], 422)
    equal((problem["title"], problem["type"]), ("calc.DivisionByZero", "urn:ferry:error:calc.DivisionByZero"), "title")
    equal(problem["ferry"]["data"], {"dividend": 7}, "fields of an exception")
    equal(call("add", [2], 400)["title"], "ferry.InvalidArgument", "too few")
    check("args.b" in call("add", [2, True], 400)["detail"], "the place of a wrong type")
    check("did you mean" in call("add", {"a": 1, "bb": 2}, 400)["detail"], "an unknown name")
    for args in ([2, 3, 4], {"a": 1}, [2, 2**31], [2, 1.5], [2, "x"], [2, None], "x", 7, None):
        body = json.dumps(args)
        if args is not None:
            call("add", body, 400)
    for body in ("[2, 1e999]", "[2, NaN]", "[2, Infinity]", "[2, 99999999999999999999999]", "[2,", "{", "\x00", "[2, 3]x"):
        call("add", body, 400)
    equal(call("mul", [], 404)["title"], "ferry.NoSuchMethod", "no such method")
    equal(call("x", [], 404, service="no.Service")["title"], "ferry.NoSuchService", "no such service")
    call("a%20b", [], 400)
    equal(call("sum", [], 415)["title"], "ferry.Unsupported", "a stream of arguments without its items")
    equal(call("doze", [], 504)["title"], "ferry.DeadlineExceeded", "the method's own deadline")
    equal(call("doze", [], 504, {"Ferry-Deadline-Ms": "20"})["title"], "ferry.DeadlineExceeded", "a deadline")
    for wrong in ("0", "-1", "x", "3600001", "1 2", ""):
        call("add", [1, 2], 400, {"Ferry-Deadline-Ms": wrong})
    call("unserved", [], 404)


def lines(method, *rows, headers=()):
    body = "\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows)
    return ask(port, "POST", f"/v1/call/calc.Calc/{method}", body, headers, "application/x-ndjson")


def item_streams():
    """A method that takes items gets the lines of the body after the first one, which has the arguments."""
    equal(lines("sum", [], 1, 2, 3).json, 6, "a sum")
    equal(lines("sum", {}, 1, "", " \r", 2, "").json, 3, "empty lines are no items")
    equal(lines("sum", []).json, 0, "no items")
    equal(lines("sum", "").json, 0, "an empty body")
    equal(lines("add", {"a": 2, "b": 3}).json, 5, "a method without a stream, in one line")
    many = lines("sum", [], *range(100000))
    equal(many.json, sum(range(100000)), "more items than the stream has credit for")
    for what, answer, status, told in (
            ("a wrong item", lines("sum", [], 1, "two", 3), 400, "line 3"),
            ("broken JSON", lines("sum", [], 1, "{"), 400, "line 3"),
            ("a number out of range", lines("sum", [], 2**40), 400, "line 2"),
            ("wrong arguments", lines("shift", {"bye": 1}), 400, "did you mean"),
            ("items for a method without", lines("add", [1, 2], 3), 400, "takes no items"),
            ("no server", lines("unserved", []), 404, "")):
        check(answer.status == status and told in answer.json["detail"], what, answer)
    equal(ask(port, "POST", "/v1/publish/a", "1", content_type="application/x-ndjson").status, 415, "lines elsewhere")

    # Both ways: the answers are events
    body = "\n".join(json.dumps(row) for row in ({"by": 10}, {"low": 1, "high": 2}, {"low": 3, "high": 4}))
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    connection.request("POST", "/v1/call/calc.Calc/shift", body,
                       {"Content-Type": "application/x-ndjson", "Ferry-Deadline-Ms": "600000"})
    events = connection.getresponse().read().decode().split("\n")
    equal([json.loads(line[6:]) for line in events if line.startswith("data: ")],
          [{"low": 11, "high": 12}, {"low": 13, "high": 14}, {}], "items and the end")
    check("event: end" in events, "the end", events)

    calc.send_signal(signal.SIGSTOP)
    answer = lines("sum", [], 1, headers={"Ferry-Deadline-Ms": "100"})
    equal((answer.status, answer.json["ferry"]["outcome_unknown"]), (504, True), "a server that does nothing")
    # The deadline of a call that yields items is the time without an item: the answer has begun, so the error is an event
    for path, args, kind in (("count", "[1, 3]", "json"), ("shift", '[1]\n{"low": 1, "high": 2}', "x-ndjson")):
        connection.request("POST", f"/v1/call/calc.Calc/{path}", args,
                           {"Content-Type": f"application/{kind}", "Ferry-Deadline-Ms": "100"})
        events = connection.getresponse().read().decode()
        check("event: problem" in events and '"title":"ferry.DeadlineExceeded"' in events, "no item in time", events)
    # A listener that ends answers first
    other, other_port = start_web()
    answers = []
    waiting = threading.Thread(target=lambda: answers.append(ask(other_port, "POST", "/v1/call/calc.Calc/sum", "[]\n1", (),
                                                                 "application/x-ndjson")))
    waiting.start()
    until(lambda: any(s["calls"] for s in ask(port, "GET", "/api/sessions").json if s["pid"] == other.pid))
    equal(stop(other), 0, "the exit status")
    waiting.join(PATIENCE_S)
    equal([a.status for a in answers], [503], "the answer at the end")
    calc.send_signal(signal.SIGCONT)

    if shutil.which("curl"):
        done = subprocess.run(["curl", "-s", "-H", "Content-Type: application/x-ndjson", "-H", "Transfer-Encoding: chunked",
                               "--data-binary", "@-", f"http://127.0.0.1:{port}/v1/call/calc.Calc/sum"],
                              input=b"[]\n40\n2\n", capture_output=True, timeout=60)
        equal(done.stdout, b"42", "curl, in chunks")


def integers():
    """Beyond 2^53 each digit counts."""
    start(ferry, "serve", "echo.Echo.it", "--echo")
    until(lambda: ask(port, "POST", "/v1/call/echo.Echo/it", [1]).status == 200)
    equal(call("it", [BIG, -BIG], 200, service="echo.Echo"), [BIG, -BIG], "exact numbers")
    equal(call("it", [BIG, 7, {"$int": str(2**64 - 1)}], 200, {"Ferry-Integers": "string"}, "echo.Echo"),
          [str(BIG), 7, str(2**64 - 1)], "as texts")
    equal(call("it", [{"$float": "nan"}, {"$bin": "AAE="}], 200, service="echo.Echo"),
          [{"$float": "nan"}, {"$bin": "AAE="}], "values that JSON lacks")
    call("it", {"a": 1}, 400, service="echo.Echo")


def headers():
    """Idempotency-Key and the trace reach the service."""
    start(ferry, "serve", "head.Head.ers", "--exec", "echo $FERRY_HEADER_IDEMPOTENCY_KEY; env | grep -i ferry_header >&2")
    answer = until(lambda: (a := ask(port, "POST", "/v1/call/head.Head/ers", [],
                                     {"Idempotency-Key": "k1", "Traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}))
                   and a.status == 200 and a)
    check("k1" in answer.raw.decode(), "the key", answer)
    trace = {"Traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}
    equal(call("add", [2, 3], 200, trace), 5, "a call")
    equal(call("note", ["x"], 202, trace), {}, "a oneway call")
    equal(lines("sum", [], 1, headers=trace).json, 1, "a call that takes items")
    equal(ask(port, "POST", "/v1/call/calc.Calc/count", [1, 2], trace).status, 200, "a call that yields items")
    equal(lines("shift", [1], {"low": 1, "high": 2}, headers=trace).status, 200, "a call that does both")
    for method in ("add", "note", "sum", "count", "shift"):
        check(until(lambda: f"calc.Calc.{method} {trace['Traceparent']}" in traces.read_text()), "the trace of", method)


def items():
    """A method that yields items answers with events."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    connection.request("POST", "/v1/call/calc.Calc/count", "[1, 3]", {"Content-Type": "application/json"})
    text = connection.getresponse().read().decode()
    equal([json.loads(line[6:]) for line in text.split("\n") if line.startswith("data: ")], [1, 2, 3, {}], "items")
    connection.request("POST", "/v1/call/calc.Calc/count", "[990, 1000]", {"Content-Type": "application/json"})
    text = connection.getresponse().read().decode()
    equal(text.count("event: item"), 10, "items before an exception")
    check('"dividend":1000' in text.split("event: problem")[1], "the exception", text[-300:])
    connection.request("POST", "/v1/call/calc.Calc/count", "[1001, 21000]", {"Content-Type": "application/json"})
    text = connection.getresponse().read().decode()
    equal(text.count("event: item"), 20000, "many items")
    connection.close()


def topics():
    events = Events(port, "/v1/subscribe/news.%3E")
    events.next("ready")
    equal(ask(port, "POST", "/v1/publish/news.a", {"x": 1}, {"Ferry-Header": "color: red"}).status, 202, "publish")
    event, first, data = events.next()
    equal((event, data["topic"], data["body"], data["headers"]), ("message", "news.a", '{"x": 1}', {"color": "red"}), "message")
    ask(port, "POST", "/v1/publish/news.b?pack=1", {"x": BIG})
    equal(events.next()[2]["value"], {"x": str(BIG)}, "packed")
    ask(port, "POST", "/v1/publish/news.c?retain=1", b"\x00\xff", content_type="application/octet-stream")
    equal(events.next()[2]["body_base64"], "AP8=", "bytes")
    equal(ask(port, "POST", "/v1/publish/ferry.x", {}).status, 403, "a reserved topic")
    equal(ask(port, "POST", "/v1/publish/a%20b", {}).status, 400, "a bad topic")
    equal(ask(port, "GET", "/v1/subscribe/a.%3E.b").status, 400, "a bad pattern")
    retained = Events(port, "/v1/subscribe/news.c")
    equal(retained.next("message")[2]["bytes"], 2, "retained")
    retained.close()

    # The reader goes away and comes back: it gets the events in between.
    events.close()
    for i in range(5):
        ask(port, "POST", f"/v1/publish/news.{i}", {})
    again = Events(port, "/v1/subscribe/news.%3E", {"Last-Event-ID": first})
    equal([again.next("message")[2]["topic"] for _ in range(7)],
          ["news.b", "news.c", "news.0", "news.1", "news.2", "news.3", "news.4"], "after a pause")
    again.close()
    lost = Events(port, "/v1/subscribe/news.%3E", {"Last-Event-ID": "0123-7"})
    equal(lost.next("dropped")[2], {"n": None}, "of another listener")
    lost.close()


def slow_reader():
    """Messages beyond the limit of a reader that does not read are dropped and counted; others get theirs."""
    slow, fast = Events(port, "/v1/subscribe/flood"), Events(port, "/v1/subscribe/flood")
    slow.next("ready"), fast.next("ready")
    body = json.dumps("x" * 60000)
    for i in range(120):
        ask(port, "POST", "/v1/publish/flood", body)
        equal(fast.next("message")[2]["seq"], i + 1, "message of the fast reader")
    seen, dropped = 0, 0
    while seen + dropped < 120:
        event, _, data = slow.next()
        seen += event == "message"
        dropped += data["n"] if event == "dropped" else 0
    check(dropped > 0 and seen > 10, "dropped", dropped, "seen", seen)
    slow.close(), fast.close()


def queues():
    pushed = ask(port, "POST", "/v1/push/mail?priority=3&key=k", {"to": "x"})
    equal((pushed.status, pushed.json["duplicate"], pushed.json["durability"]), (201, False, "memory"), "push")
    again = ask(port, "POST", "/v1/push/mail?priority=3&key=k", {"to": "x"}).json
    equal((again["job"], again["duplicate"]), (pushed.json["job"], True), "a duplicate")
    job = ask(port, "GET", f"/api/jobs/{pushed.json['job']}").json
    equal((job["body"], job["priority"]), ('{"to": "x"}', 3), "the job")
    equal(ask(port, "POST", "/v1/push/mail?priority=10", {}).status, 400, "a wrong priority")
    equal(ask(port, "POST", "/v1/push/mail?delay_ms=x", {}).status, 400, "a wrong delay")
    equal(ask(port, "POST", "/v1/push/mail", "{").status, 400, "not JSON")
    equal(ask(port, "POST", "/v1/push/mail", "{", content_type="text/plain").status, 415, "a form")
    equal(ask(port, "POST", "/v1/push/mail", "{", content_type="application/octet-stream").status, 201, "bytes")


def rpc():
    def send(body):
        answer = ask(port, "POST", "/rpc", body)
        return answer.json if answer.raw else answer.status

    equal(send({"jsonrpc": "2.0", "method": "calc.Calc.add", "params": [2, 3], "id": 1}),
          {"jsonrpc": "2.0", "result": 5, "id": 1}, "a call")
    equal(send({"jsonrpc": "2.0", "method": "calc.Calc.nothing", "id": "x"}), {"jsonrpc": "2.0", "result": None, "id": "x"}, "void")
    equal(send({"jsonrpc": "2.0", "method": "calc.Calc.add", "params": [2, 3]}), 204, "a notification")
    batch = send([{"jsonrpc": "2.0", "method": "calc.Calc.add", "params": {"a": 2, "b": i}, "id": i} for i in range(20)] +
                 [{"jsonrpc": "2.0", "method": "calc.Calc.note", "params": ["x"]}, 1])
    equal({a["id"]: a.get("result") for a in batch if a["id"] is not None}, {i: i + 2 for i in range(20)}, "a batch")
    equal([a["error"]["code"] for a in batch if "error" in a], [-32600], "a wrong one in a batch")
    for body, code in (("{", -32700), ("[]", -32600), ("1", -32600), ({"jsonrpc": "1.0", "method": "a.b", "id": 1}, -32600),
                       ({"jsonrpc": "2.0", "method": "a", "id": 1}, -32601), ({"jsonrpc": "2.0", "method": "a.B.c", "id": 1}, -32601),
                       ({"jsonrpc": "2.0", "method": "calc.Calc.mul", "id": 1}, -32601),
                       ({"jsonrpc": "2.0", "method": "calc.Calc.add", "params": [1], "id": 1}, -32602),
                       ({"jsonrpc": "2.0", "method": "calc.Calc.div", "params": [1, 0], "id": 1}, -32000),
                       ([{}] * 101, -32600)):
        answer = send(body)
        equal(answer["error"]["code"] if isinstance(answer, dict) else answer, code, f"error of {str(body)[:70]}")
    answer = send({"jsonrpc": "2.0", "method": "calc.Calc.div", "params": [1, 0], "id": 1})
    equal(answer["error"]["data"]["type"], "calc.DivisionByZero", "data of an error")


def openapi():
    document = ask(port, "GET", "/openapi.json").json
    equal(document["openapi"], "3.1.0", "version")
    operation = document["paths"]["/v1/call/calc.Calc/div"]["post"]
    equal(operation["description"], "Whole-number division.", "documentation")
    check("422" in operation["responses"], "the declared exception", operation)
    equal(document["components"]["schemas"]["calc.Range"]["required"], ["low", "high"], "fields")
    check("application/x-ndjson" in document["paths"]["/v1/call/calc.Calc/sum"]["post"]["requestBody"]["content"], "lines")
    (scratch / "openapi.json").write_text(json.dumps(document))
    node = shutil.which("node") or shutil.which("nodejs")
    if node:
        done = subprocess.run([node, pathlib.Path(__file__).parent / "validate-openapi.js", scratch / "openapi.json"],
                              capture_output=True, text=True, timeout=60)
        check(done.returncode in (0, 77), "the validator", done.stdout, done.stderr)
        if done.returncode == 77:
            print("the npm package @seriousme/openapi-schema-validator is not there: the document is not validated")

    def refs(node):
        if isinstance(node, dict):
            if "$ref" in node:
                yield node["$ref"]
            for value in node.values():
                yield from refs(value)
        elif isinstance(node, list):
            for value in node:
                yield from refs(value)

    for ref in set(refs(document)):
        at = document
        for part in ref[2:].split("/"):
            at = at.get(part) if at else None
        check(at, "a reference leads nowhere", ref)


def many():
    """Calls of many clients at once."""
    def some():
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
        for i in range(50):
            connection.request("POST", "/v1/call/calc.Calc/add", f"[{i}, 1]", {"Content-Type": "application/json"})
            got = connection.getresponse().read()
            if got != str(i + 1).encode():
                check(False, "call", i, got)
        connection.close()

    threads = [threading.Thread(target=some) for _ in range(8)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]


def broker_lost():
    events = Events(port, "/v1/subscribe/late")
    events.next("ready")
    stop(broker)
    until(lambda: ask(port, "POST", "/v1/call/calc.Calc/add", [1, 2]).status == 503)
    for path, body in (("/v1/publish/x", {}), ("/v1/push/x", {}), ("/v1/call/calc.Calc/add", [1, 2])):
        answer = ask(port, "POST", path, body)
        equal((answer.status, answer.json["title"]), (503, "ferry.NotConnected"), path)
        check(answer.headers["Retry-After"], "Retry-After", path)
    equal(ask(port, "GET", "/v1/subscribe/x").status, 503, "subscribe")
    start_broker()
    until(lambda: ask(port, "POST", "/v1/call/calc.Calc/add", [1, 2]).status == 200)
    # The subscription has come back, too.
    until(lambda: any(t.get("pattern") == "late" for t in ask(port, "GET", "/api/topics").json))
    ask(port, "POST", "/v1/publish/late", {})
    equal(events.next("message")[2]["topic"], "late", "after the broker came back")
    events.close()


try:
    broker = start_broker()
    traces = scratch / "traces"
    environment["CALC_TRACES"] = str(traces)
    calc = start(calc_server)
    web, port = start_web()
    until(lambda: ask(port, "POST", "/v1/call/calc.Calc/add", [1, 2]).status == 200)
    play((calls, errors, item_streams, integers, headers, items, topics, slow_reader, queues, rpc, openapi, many, broker_lost))
    reader = Events(port, "/v1/subscribe/x")
    equal(stop(web), 0, "the exit status")
except Exception:
    failures.append(traceback.format_exc())
    print(failures[-1])
finally:
    finish()
