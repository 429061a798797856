# SPDX-License-Identifier: Apache-2.0
"""The endpoints below /api: lists, actions, live states, health: test-api.py FERRY CALC-SERVER"""
import re

from stage import *

ACT = {"Ferry-Request": "1"}


def act(path, body=None):
    return ask(port, "POST", path, body or {}, ACT)


def lists():
    until(lambda: any(s["name"] == "calc.Calc" for s in ask(port, "GET", "/api/services").json))
    run("call", "calc.Calc.add", "1", "2")
    run("push", "mail", "hello")
    run("push", "mail", "--file", str(scratch / "bytes"))
    run("pub", "--retain", "news.local", "x")
    service = ask(port, "GET", "/api/services/calc.Calc").json
    instance = service["instances"][0]
    equal((instance["ready"], instance["ejected"]), (True, False), "state of an instance")
    methods = {m["name"]: m for m in service["methods"]}
    equal(methods["add"]["stats"]["calls"], 1, "calls of add")
    equal([a["name"] for a in methods["div"]["args"]], ["a", "b"], "arguments of div")
    equal(methods["div"]["throws"], [{"name": "by_zero", "type": "calc.DivisionByZero"}], "throws of div")
    equal(methods["squares"]["args"][0]["type_ref"], {"kind": "struct", "name": "calc.Range"}, "type of squares")
    equal([f["name"] for f in service["types"]["calc.Range"]["fields"]], ["low", "high", "step"], "fields of Range")
    equal(service["types"]["calc.Rounding"]["values"][0]["name"], "DOWN", "value of Rounding")
    check("service Calc" in service["idl"], "the interface is printed")
    equal(ask(port, "GET", "/api/services/no.Service").status, 404, "unknown service")

    jobs = ask(port, "GET", "/api/queues/mail/jobs").json
    equal(jobs[0]["body"], "hello", "body of the first job")
    equal(jobs[1]["body_base64"], "AP8=", "body of the second job")
    check(isinstance(jobs[0]["job"], str), "numbers of jobs are texts")
    equal(ask(port, "GET", f"/api/jobs/{jobs[0]['job']}").json["queue"], "mail", "queue of a job")
    equal(ask(port, "GET", "/api/jobs/xyz").status, 400, "number of a job")
    equal(ask(port, "GET", "/api/queues/mail/jobs?limit=0").status, 400, "limit")
    equal(ask(port, "GET", "/api/queues/mail").json["max_attempts"], 20, "setting")
    equal(ask(port, "GET", "/api/queues/none").status, 404, "unknown queue")
    check(any(t.get("name") == "news.local" for t in ask(port, "GET", "/api/topics").json), "retained topic")
    check(any(s["name"] == "ferry web" for s in ask(port, "GET", "/api/sessions").json), "our session")
    report = {"caches": [{"cache": "redis://cache:6379", "hits": 9, "misses": 2**53 + 1}]}
    equal(ask(port, "POST", "/v1/call/ferry.Broker/report_caches", report).status, 202, "a report of caches")
    cache = until(lambda: ask(port, "GET", "/api/caches").json)[0]
    equal((cache["cache"], cache["client"], cache["hits"], cache["misses"], cache["errors"]),
          ("redis://cache:6379", "ferry web", 9, str(2**53 + 1), 0), "a cache")
    check(isinstance(cache["session"], str), "numbers of sessions are texts")
    equal([row["hits"] for row in json.loads(run("caches", "--json"))], [9], "ferry caches")
    overview = ask(port, "GET", "/api/overview").json
    equal((overview["broker"], overview["stats"]["pushed"]), ("up", 2), "overview")
    equal(ask(port, "GET", "/api/history").json["interval_ms"], 5000, "history")


def actions():
    equal(act("/api/queues/mail/pause").status, 200, "pause")
    equal(ask(port, "GET", "/api/queues/mail").json["paused"], True, "paused")
    equal(act("/api/queues/mail/resume").status, 200, "resume")
    equal(act("/api/queues/mail/set", {"setting": "max_working", "value": "3"}).status, 200, "set")
    equal(ask(port, "GET", "/api/queues/mail").json["max_working"], 3, "max_working")
    equal(act("/api/queues/mail/set", {"setting": "max_working"}).status, 400, "set without a value")
    equal(act("/api/queues/mail/bind", {"pattern": "orders.>"}).status, 200, "bind")
    equal(ask(port, "GET", "/api/pipelines").json["binds"], [{"pattern": "orders.>", "queue": "mail"}], "binds")
    equal(act("/api/queues/mail/unbind", {"pattern": "orders.>"}).status, 200, "unbind")

    # Dead letters: a chosen one goes back, another one is dropped.
    run("push", "mail.dead", "a")
    run("push", "mail.dead", "b")
    dead = [j["job"] for j in ask(port, "GET", "/api/queues/mail.dead/jobs").json]
    if check(len(dead) == 2, "dead letters", dead):
        moved = act("/api/queues/mail/retry", {"jobs": [dead[0], "1"]}).json
        equal([m["job"] for m in moved["moved"]], [dead[0]], "moved")
        equal([f["problem"]["status"] for f in moved["failed"]], [404], "not moved")
        equal(act("/api/queues/mail.dead/drop", {"jobs": [dead[1]]}).json, {"dropped": [dead[1]], "failed": []}, "drop")
        equal(act("/api/queues/mail/move", {"to": "post"}).json, {"n": 3}, "move all")
    for bad in ({"jobs": []}, {"jobs": ["x"]}, {"jobs": ["1"] * 501}, {"jobs": "1"}, {"limit": -1}, {"limit": "all"}):
        equal(act("/api/queues/mail/retry", bad).status, 400, f"retry {str(bad)[:40]}")
    equal(act("/api/queues/post/purge", {"confirm": "mail"}).status, 400, "purge of another name")
    equal(act("/api/queues/post/purge", {"confirm": "post"}).json, {"n": 3}, "purge")

    job = run("push", "mail", "now").strip()
    equal(act(f"/api/jobs/{job}/run").status, 200, "run a job")
    moved = act(f"/api/jobs/{job}/move", {"to": "post"}).json["job"]
    equal(act(f"/api/jobs/{moved}/cancel").status, 200, "cancel a job")
    equal(act(f"/api/jobs/{moved}/cancel").status, 404, "cancel it again")
    run("schedule", "add", "tick", "mail", "--every", "1h")
    equal([s["name"] for s in ask(port, "GET", "/api/schedules").json], ["tick"], "schedules")
    equal(act("/api/schedules/tick/remove").status, 200, "remove a schedule")

    victim = next(s["session"] for s in ask(port, "GET", "/api/sessions").json if s["name"] != "ferry web")
    equal(act(f"/api/sessions/{victim}/kick").status, 200, "kick")
    for path in ("/api/queues/mail/pause", f"/api/jobs/{job}/cancel", f"/api/sessions/{victim}/kick"):
        equal(ask(port, "POST", path, {}).status, 403, f"{path} without Ferry-Request")
        equal(ask(port, "POST", path, {}, ACT, content_type="text/plain").status, 415, f"{path} as text")
        equal(ask(port, "GET", path).status, 405, f"GET {path}")


SAMPLE = re.compile(r'([a-z_]+)(?:\{((?:[a-z]+="(?:[^"\\\n]|\\[\\n"])*",?)+)\})? (-?[0-9.e+-]+|\+Inf)$')


def metrics():
    """The text is OpenMetrics: each sample belongs to the family before it, and no series comes twice."""
    answer = ask(port, "GET", "/metrics", headers={"Accept": "application/openmetrics-text;version=1.0.0,*/*;q=0.1"})
    check(answer.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0"), "type")
    lines = answer.raw.decode().split("\n")
    equal(lines[-2:], ["# EOF", ""], "the end")
    family, kind, families, series = None, None, set(), set()
    for line in lines[:-2]:
        if line.startswith("# TYPE "):
            _, _, family, kind = line.split(" ")
            check(family not in families, "a family comes twice", family)
            families.add(family)
        elif not line.startswith("# HELP "):
            found = SAMPLE.match(line)
            if not check(found, "a sample", line):
                continue
            suffixes = {"counter": ["_total"], "gauge": [""], "info": ["_info"],
                        "histogram": ["_bucket", "_count", "_sum"]}[kind]
            check(found[1] in [family + s for s in suffixes], "a name", line, family)
            check((found[1], found[2]) not in series, "a series comes twice", line)
            series.add((found[1], found[2]))
    for wanted in ("ferry_up 1", 'ferry_method_calls_total{service="calc.Calc",method="add"} 1',
                   'ferry_queue_pushed_jobs_total{queue="mail"} 2', 'ferry_service_instances{service="calc.Calc"} 1',
                   'ferry_method_duration_seconds_count{service="calc.Calc",method="add"} 1', "ferry_metrics_left_out 0"):
        check(wanted in lines, "there is no", wanted)
    # The alert rules and the Grafana dashboard use metrics that there are
    operations = pathlib.Path(__file__).resolve().parents[2] / "docs/operations"
    for name in ("alerts.yml", "grafana.json"):
        used = set(re.findall(r"\bferry_[a-z0-9_]+", (operations / name).read_text()))
        unknown = {one for one in used if not {one, re.sub("_(total|bucket|count|sum|info)$", "", one)} & families}
        check(len(used) > 5 and not unknown, f"metrics of {name} that /metrics lacks", sorted(unknown), len(used))
    json.loads((operations / "grafana.json").read_text())
    if shutil.which("promtool"):
        done = subprocess.run(["promtool", "check", "rules", operations / "alerts.yml"], capture_output=True)
        check(done.returncode == 0, "promtool", done.stdout + done.stderr)
    # The plain format, for others: the same samples, and promtool finds no fault
    plain = ask(port, "GET", "/metrics", headers={"Accept": "*/*"})
    equal(plain.headers["Content-Type"], "text/plain; version=0.0.4; charset=utf-8", "type of the plain format")
    texts = plain.raw.decode().split("\n")
    equal({line.split(" ")[0] for line in texts if not line.startswith("#")},
          {line.split(" ")[0] for line in lines if not line.startswith("#")}, "samples of the plain format")
    check("# TYPE ferry_calls_total counter" in texts and "# EOF" not in texts, "the plain format", texts[:20])
    if shutil.which("promtool"):
        done = subprocess.run(["promtool", "check", "metrics"], input=plain.raw, capture_output=True)
        check(done.returncode == 0 and not done.stderr, "promtool", done.stderr)
    else:
        print("no promtool (Debian: prometheus): it has not read the metrics")


def pipelines():
    run("push", "stage-a", "x")
    work = start(ferry, "work", "stage-a", "--exec", "cat", "--then", "stage-b", "--count", "1")
    work.wait(PATIENCE_S)
    equal(ask(port, "GET", "/api/pipelines").json["edges"], [{"from": "stage-a", "to": "stage-b", "forwarded": 1}], "edges")


def pages():
    page = ask(port, "GET", "/")
    equal(page.status, 200, "the page")
    check("default-src 'none'" in page.headers["Content-Security-Policy"], "policy")
    equal(page.headers["X-Content-Type-Options"], "nosniff", "nosniff")
    etag = page.headers["ETag"]
    equal(ask(port, "GET", "/index.html", headers={"If-None-Match": etag}).status, 304, "the page again")
    equal(ask(port, "HEAD", "/").raw, b"", "HEAD")
    equal(ask(port, "GET", "/none.js").status, 404, "unknown file")


def live():
    events = Events(port, "/api/live?parts=overview,queues,sessions,caches")
    equal(events.status, 200, "live")
    _, first, state = events.next("state")
    equal(sorted(state), ["caches", "overview", "queues", "sessions"], "parts")
    _, second, state = events.next("state")
    check(int(second) > int(first), "states are counted", first, second)
    check(state["overview"]["rates"] is None or state["overview"]["rates"]["pushed"] >= 0, "rates")
    equal(ask(port, "GET", "/api/live?parts=queues,nothing").status, 400, "unknown part")

    # The broker goes away, and comes back.
    stop(broker)
    while state["overview"]["broker"] == "up":
        state = events.next("state")[2]
    check(state["overview"]["problem"], "the problem is told")
    equal(ask(port, "GET", "/readyz").status, 503, "not ready")
    equal(ask(port, "GET", "/healthz").status, 200, "healthy")
    equal(ask(port, "GET", "/api/queues").status, 503, "no queues without a broker")
    start_broker()
    while state["overview"]["broker"] != "up":
        state = events.next("state")[2]
    until(lambda: ask(port, "GET", "/readyz").status == 200)
    events.close()


def addresses():
    for address in ("0.0.0.0:0", "192.0.2.1:80", "::1:80", "127.0.0.1", "127.0.0.1:99999", "localhost:http", ""):
        done = subprocess.run([ferry, "web", "--listen", address], env=environment, capture_output=True, timeout=60)
        check(done.returncode not in (0, -6, -11) and done.stderr, "refused address", address, done)
    done = subprocess.run([ferry, "web", "--listen", f"127.0.0.1:{port}"], env=environment, capture_output=True, timeout=60)
    check(b"in use" in done.stderr, "address in use", done)


try:
    (scratch / "bytes").write_bytes(b"\x00\xff")
    web, port = start_web()  # before its broker
    broker = start_broker()
    start(calc_server)
    until(lambda: ask(port, "GET", "/readyz").status == 200)
    play((lists, metrics, actions, pipelines, pages, addresses, live))
    equal(stop(web), 0, "the exit status")
except Exception:
    failures.append(traceback.format_exc())
    print(failures[-1])
finally:
    finish()
