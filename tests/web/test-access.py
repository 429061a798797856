# SPDX-License-Identifier: Apache-2.0
"""Tokens and their users, TLS, and the listener inside the broker: test-access.py FERRY CALC-SERVER"""
import base64
import re
import ssl

from stage import *

ALICE, BOB = "alice-0123456789abcdef", "bob-0123456789abcdefgh"


def bearer(secret):
    return {"Authorization": f"Bearer {secret}"}


def refused(*options):
    done = subprocess.run([ferry, "web", "--listen", "127.0.0.1:0", *map(str, options)], env=environment, capture_output=True,
                          text=True, timeout=60)
    check(done.returncode > 0, "is refused", options, done)
    return done.stderr


def write_tokens(text, mode=0o600):
    path = scratch / "tokens.conf"
    path.write_text(text)
    path.chmod(mode)
    return path


def token_files():
    good = f"[token a]\nsecret = {ALICE}\n"
    check("chmod 600" in refused("--tokens", write_tokens(good, 0o644)), "readable for others")
    for text, told in (("", "no [token NAME]"), ("[token a]\n", "no [token NAME]"), ("[token a]\nkey = x\n", "no secret"),
                       ("[token a]\nsecret = short\n", "line 2: a secret must have at least 16"), ("secret = x\n", "line 1: a section must be"),
                       ("[user a]\nsecret = x\n", "line 2: a section must be"), (good + "secrets = x\n", "line 3: a setting must be"),
                       (good + f"secret = {BOB}\n", "line 3: the setting occurs twice"), (good + "rubbish\n", "line 3"),
                       (good + f"[token b]\nsecret = {ALICE}\n", "have the same secret"),
                       ("".join(f"[token t{i}]\nsecret = {ALICE}{i}\n" for i in range(65)), "more than 64")):
        said = refused("--tokens", write_tokens(text))
        check(told in said, f"of {text[:50]!r}", said)
    check("cannot read" in refused("--tokens", scratch / "none"), "no file")


def tokens():
    """Each token is a user of the broker, with that user's rights."""
    key = {who: scratch / f"{who}.key" for who in ("broker", "alice", "bob")}
    public = {who: run("key", "new", str(path)).strip() for who, path in key.items()}
    (scratch / "ferry.conf").write_text(
        f"[server]\nkey = {key['broker']}\n[user alice]\nkey = {public['alice']}\nmay = push mail work mail admin\n"
        f"[user bob]\nkey = {public['bob']}\nmay = push mail\n")
    log = open(scratch / "log", "w")
    start(ferry, "broker", "--bind", "tcp://127.0.0.1:*", "--config", scratch / "ferry.conf", stderr=log)
    found = until(lambda: re.search(r"listening on tcp:.*:(\d+)$", (scratch / "log").read_text(), re.M))
    path = write_tokens(f"[token one]\nsecret = {ALICE}\nkey = {key['alice']}\n[token two]\nsecret = {BOB}\nkey = {key['bob']}\n")
    web, port = start_web("--url", f"tcp://127.0.0.1:{found[1]}", "--server-key", public["broker"], "--tokens", path)

    until(lambda: ask(port, "GET", "/api/sessions", headers=bearer(ALICE)).status == 200)
    for headers in ({}, bearer("x"), bearer(ALICE + "x"), bearer(ALICE[:-1]), {"Authorization": ALICE}, {"Authorization": "Basic !"},
                    {"Authorization": "Basic " + base64.b64encode(ALICE.encode()).decode()}):
        answer = ask(port, "GET", "/api/sessions", headers=headers)
        equal(answer.status, 401, f"without a token: {headers}")
        check("Basic" in answer.headers["WWW-Authenticate"], "browsers ask for it")
    basic = {"Authorization": "Basic " + base64.b64encode(f"any:{ALICE}".encode()).decode()}
    equal(ask(port, "GET", "/", headers=basic).status, 200, "the page, as browsers ask for it")
    equal(ask(port, "GET", "/").status, 401, "the page")
    equal(ask(port, "GET", "/healthz").status, 200, "health needs no token")

    until(lambda: {s["name"]: s["user"] for s in ask(port, "GET", "/api/sessions", headers=bearer(ALICE)).json} ==
          {"ferry web, one": "alice", "ferry web, two": "bob"})
    equal(ask(port, "POST", "/v1/push/mail", {}, bearer(BOB)).status, 201, "bob may push")
    equal(ask(port, "POST", "/v1/push/other", {}, bearer(BOB)).status, 403, "to mail alone")
    equal(ask(port, "POST", "/api/queues/mail/purge", {"confirm": "mail"}, dict(bearer(BOB), **{"Ferry-Request": "1"})).status, 403,
          "bob may not purge")
    equal(ask(port, "POST", "/api/queues/mail/purge", {"confirm": "mail"}, dict(bearer(ALICE), **{"Ferry-Request": "1"})).json,
          {"n": 1}, "alice may")
    # Counters of each user; bob sees his own alone
    lines = ask(port, "GET", "/metrics", headers=bearer(BOB)).raw.decode().split("\n")
    check('ferry_user_pushed_jobs_total{user="bob"} 1' in lines, "pushes of bob", lines)
    refused = [int(l.split(" ")[1]) for l in lines if l.startswith('ferry_user_refused_messages_total{user="bob"} ')]
    check(refused and refused[0] >= 2, "refused messages of bob, and of the listener for him", refused)
    check(not any('user="alice"' in line for line in lines), "bob does not see alice")
    equal(stop(web), 0, "the exit status")


def tls():
    if not shutil.which("openssl"):
        print("no openssl: TLS is not tested")
        return
    cert, key = scratch / "cert.pem", scratch / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                    "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", cert],
                   check=True, capture_output=True)
    key.chmod(0o600)
    path = write_tokens(f"[token a]\nsecret = {ALICE}\n")
    check("belong together" in refused("--tls-cert", cert), "a certificate alone")
    check("not a certificate" in refused("--tls-cert", key, "--tls-key", key), "a wrong certificate")
    check("cannot read" in refused("--tls-cert", scratch, "--tls-key", key), "a folder instead of a certificate")
    long = scratch / "long.pem"
    long.write_bytes(cert.read_bytes() + b"\n" * 256 * 1024)
    check("larger than 256 KiB" in refused("--tls-cert", long, "--tls-key", key), "a file that would be cut")
    key.chmod(0o644)
    check("chmod 600" in refused("--tls-cert", cert, "--tls-key", key), "a key that others can read")
    key.chmod(0o600)
    for options in ((), ("--tokens", path), ("--tls-cert", cert, "--tls-key", key)):
        said = refused("--listen", "0.0.0.0:0", *options)
        check("loopback" in said, "beyond loopback", options, said)

    broker = start_broker()
    child = start(ferry, "web", "--listen", "0.0.0.0:0", "--tokens", path, "--tls-cert", cert, "--tls-key", key,
                  stdout=subprocess.PIPE, text=True)
    line = child.stdout.readline()
    check(line.startswith("https://0.0.0.0:"), "the address", line)
    port = int(line.rsplit(":", 1)[1].strip("/\n"))
    trust = ssl.create_default_context(cafile=cert)
    trust.minimum_version = ssl.TLSVersion.TLSv1_2

    def get(path, headers):
        connection = http.client.HTTPSConnection("localhost", port, timeout=PATIENCE_S, context=trust)
        connection.request("GET", path, headers=headers)
        answer = Answer(connection.getresponse())
        connection.close()
        return answer

    until(lambda: get("/readyz", {}).status == 200)
    equal(get("/api/queues", bearer(ALICE)).json, [], "queues, over TLS")
    equal(get("/api/queues", {}).status, 401, "without a token, over TLS")
    raw(port, b"GET / HTTP/1.1\r\n\r\n")
    equal(get("/healthz", {}).status, 200, "after plain HTTP")
    equal(stop(child), 0, "the exit status")
    stop(broker)


def inside():
    """ferry broker --web: a thread of the broker's process."""
    said = scratch / "log"
    broker = start(ferry, "broker", "--bind", url, "--web", "127.0.0.1:0", stderr=open(said, "w"))
    port = int(until(lambda: re.search(r"the dashboard is at http://127.0.0.1:(\d+)/", said.read_text()))[1])
    until(lambda: ask(port, "GET", "/readyz").status == 200)
    run("push", "mail", "x")
    equal([q["name"] for q in ask(port, "GET", "/api/queues").json], ["mail"], "queues")
    session = ask(port, "GET", "/api/sessions").json[0]
    equal(session["pid"], broker.pid, "it is the broker's process")
    # Like any client it can be kicked, and connects again.
    ask(port, "POST", f"/api/sessions/{session['session']}/kick", {}, {"Ferry-Request": "1"})
    until(lambda: ask(port, "GET", "/api/queues").status == 200)
    equal(stop(broker), 0, "the exit status of the broker")
    for address, problem in (("192.0.2.1:80", b"--web 192.0.2.1:80: other machines can reach it"),
                             ("5878", b"--web 5878: it is not an address with a port"),
                             ("[::1]:x", b"--web [::1]:x: it is not an address with a port")):
        done = subprocess.run([ferry, "broker", "--bind", url, "--web", address, "--check-config"], env=environment,
                              capture_output=True, timeout=60)
        check(done.returncode == 2 and problem in done.stderr, address, done)


def configured():
    """`web` in ferry.conf: a client of the first ipc:// endpoint, from the start to the end; a reload changes nothing."""
    conf = scratch / "web.conf"

    def write(web):
        conf.write_text(f"[broker]\nbind = tcp://127.0.0.1:*\nbind = {url}\nweb = {web}\n[user reader]\nuid = 4294967294\n")

    write("0.0.0.0:5878")
    done = subprocess.run([ferry, "broker", "--config", conf, "--check-config"], env=environment, capture_output=True, timeout=60)
    check(done.returncode == 2 and b"web.conf:4: web = 0.0.0.0:5878: other machines" in done.stderr, "an open address", done)
    write("127.0.0.1:0")
    said = scratch / "log"
    broker = start(ferry, "broker", "--config", conf, stderr=open(said, "w"))
    port = int(until(lambda: re.search(r"the dashboard is at http://127.0.0.1:(\d+)/", said.read_text()))[1])
    until(lambda: ask(port, "GET", "/readyz").status == 200)
    session = ask(port, "GET", "/api/sessions").json[0]
    equal((session["pid"], session["name"]), (broker.pid, "ferry web"), "its session")
    check("has the rights of the broker's own user" in said.read_text(), "a warning where there are users", said.read_text())
    write("127.0.0.1:1")
    broker.send_signal(signal.SIGHUP)
    until(lambda: "has been read again" in said.read_text())
    equal(ask(port, "GET", "/readyz").status, 200, "the address after a reload")
    equal(stop(broker), 0, "the exit status of the broker")


try:
    play((token_files, tokens, tls, inside, configured))
finally:
    finish()
