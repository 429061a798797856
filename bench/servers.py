# SPDX-License-Identifier: Apache-2.0
"""Starts the servers under test on free ports of 127.0.0.1, and stops them by their pid."""

import contextlib
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time

# The kernel ends the processes that are started in this way if this program is killed.
TIED = ["setpriv", "--pdeathsig", "TERM"]

# A publisher's lead of 20 000 messages of 1 KiB must fit into one subscriber's backlog.
FERRY_CONFIG = """
[broker]
max_subscriber_bytes = 64M
"""

# RabbitMQ gets its own folder and its own epmd.
RABBITMQ_FILES = {
    "RABBITMQ_MNESIA_BASE": "mnesia", "RABBITMQ_LOG_BASE": "logs",
    "RABBITMQ_ENABLED_PLUGINS_FILE": "plugins", "RABBITMQ_CONFIG_FILE": "rabbitmq",
    "RABBITMQ_ADVANCED_CONFIG_FILE": "advanced.config", "RABBITMQ_CONF_ENV_FILE": "env.conf",
    "RABBITMQ_GENERATED_CONFIG_DIR": "schema", "RABBITMQ_PID_FILE": "pid",
    "RABBITMQ_FEATURE_FLAGS_FILE": "flags", "HOME": "",
}
# Debian's rabbitmq-server changes the user; this is the program behind it.
RABBITMQ_SERVER = "/usr/lib/rabbitmq/bin/rabbitmq-server"

NATS_CONFIG = """
host: 127.0.0.1
port: {port}
max_payload: 8388608
max_pending: 268435456
jetstream {{ store_dir: "{folder}/jetstream" }}
"""


NATS_TLS = """
tls {{ cert_file: "{folder}/cert.pem", key_file: "{folder}/key.pem" }}
"""

CERTIFICATE = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
               "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1", "-addext",
               "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "cert.pem"]


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def find_program(name):
    """Debian puts servers into /usr/sbin, which is not in every user's PATH."""
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")


class Server:
    def __init__(self, name, build):
        self.folder = tempfile.TemporaryDirectory(prefix="ferry-bench-", ignore_cleanup_errors=True)
        self.port = free_port()
        self.log = open(f"{self.folder.name}/log", "w+")
        self.name = name
        self.client_environment = {}
        self.environment = dict(os.environ)
        self.helpers = []
        if name == "rabbitmq-server":
            self.prepare_rabbitmq()
        if name == "ferry in redis":
            self.helpers.append(self.start(self.redis(free_port())))
        self.process = self.start(self.command(build))

    @property
    def pids(self):
        """The process ids: first that of the server under test, then those of its helpers."""
        return [self.process.pid] + [helper.pid for helper in self.helpers]

    def start(self, command):
        # Its own session, so that Ctrl-C does not reach it: it is stopped below, after its clients.
        return subprocess.Popen(
            TIED + command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=subprocess.STDOUT,
            cwd=self.folder.name, env=self.environment, start_new_session=True)

    def prepare_rabbitmq(self):
        epmd = str(free_port())
        self.environment.update(
            {key: f"{self.folder.name}/{name}" for key, name in RABBITMQ_FILES.items()},
            RABBITMQ_NODENAME=f"bench{self.port}@localhost", RABBITMQ_NODE_PORT=str(self.port),
            RABBITMQ_NODE_IP_ADDRESS="127.0.0.1", RABBITMQ_DIST_PORT=str(free_port()),
            RABBITMQ_LOGS="-", ERL_EPMD_PORT=epmd, ERL_EPMD_ADDRESS="127.0.0.1")
        pathlib.Path(self.folder.name, "plugins").write_text("[].")
        self.helpers.append(self.start(["epmd", "-port", epmd, "-address", "127.0.0.1"]))

    def command(self, build):
        port, folder = str(self.port), self.folder.name
        config = pathlib.Path(folder, "config")
        if self.name.startswith("ferry"):
            config.write_text(FERRY_CONFIG + (self.keys(build) if self.name == "ferry with keys" else ""))
            return [f"{build}/ferry", "broker", "--bind", f"tcp://127.0.0.1:{port}",
                    "--config", str(config)] + (
                        ["--data", f"{folder}/data"] if self.name == "ferry on disk" else
                        ["--store", f"redis+unix://{folder}/redis"] if self.name == "ferry in redis" else [])
        if self.name == "rabbitmq-server":
            return [RABBITMQ_SERVER]
        if self.name in ("nats-server", "nats with TLS"):
            text = NATS_CONFIG
            if self.name != "nats-server":
                text += NATS_TLS
                subprocess.run(CERTIFICATE, cwd=folder, check=True, capture_output=True)
                self.client_environment = {"NATS_CA": f"{folder}/cert.pem"}
            config.write_text(text.format(port=port, folder=folder))
            return [find_program("nats-server"), "-c", str(config)]
        return self.redis(port)

    def redis(self, port):
        folder = self.folder.name
        lasting = ["--appendonly", "yes", "--appendfsync", "always"]
        return [find_program("redis-server"), "--port", str(port), "--unixsocket", f"{folder}/redis", "--bind", "127.0.0.1", "--save", ""] + (
            lasting if self.name == "redis on disk" else ["--appendonly", "no"]) + [
                "--dir", folder,
                "--client-output-buffer-limit", "pubsub 0 0 0"]

    def keys(self, build):
        """Makes keys of the broker and of its clients; returns their part of the configuration."""
        public = [subprocess.run([f"{build}/ferry", "key", "new", f"{self.folder.name}/{name}.key"],
                                 check=True, capture_output=True, text=True).stdout.strip()
                  for name in ("broker", "bench")]
        self.client_environment = {"FERRY_KEY": f"{self.folder.name}/bench.key",
                                   "FERRY_SERVER_KEY": public[0]}
        return (f"[server]\nkey = {self.folder.name}/broker.key\n"
                f"[user bench]\nkey = {public[1]}\nmay = admin\n")

    def wait_until_up(self):
        end = time.monotonic() + (120 if self.name == "rabbitmq-server" else 10)
        while time.monotonic() < end and self.process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return self
            except OSError:
                time.sleep(0.02)
        self.log.seek(0)
        raise RuntimeError(f"{self.name} does not start:\n{self.log.read()[-2000:]}")

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(3)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for process in [self.process] + self.helpers:
            # The program may be a script that has started the server.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self.log.close()
        self.folder.cleanup()


class Servers:
    """with Servers(build) as servers: servers.get("redis-server").port"""

    def __init__(self, build):
        self.build, self.running = build, {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for server in self.running.values():
            server.stop()

    def get(self, name, fresh=False):
        # Restart the server, so that a row's jobs and memory do not affect the next row.
        if fresh and name in self.running:
            self.running.pop(name).stop()
        if name not in self.running:
            self.running[name] = Server(name, self.build)
            self.running[name].wait_until_up()
        return self.running[name]
