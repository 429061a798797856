#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The broker under a service manager: its states, its watchdog, its log for the journal and as JSON; its units.
# usage: test-daemon.sh FERRY UNIT...
source "$(dirname "$0")/lib.sh" "$1"
units=("${@:2}")
printf '[broker]\nlog_format = json\n[queue mail]\nmax_jobs = 1\n' >"$work/conf"
cat >"$work/manager.py" <<'END'
import os, signal, socket, subprocess, sys

ferry, work = sys.argv[1:3]
manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
manager.bind(f"{work}/notify")
manager.settimeout(20)
log = open(f"{work}/log", "w")
broker = subprocess.Popen(
    [ferry, "broker", "--config", f"{work}/conf", "--data", f"{work}/data"], stderr=log,
    env={**os.environ, "NOTIFY_SOCKET": f"{work}/notify", "WATCHDOG_USEC": "200000", "JOURNAL_STREAM": "1:2"})

def until(*lines):
    """A state with these lines comes; a hang alone takes 20 s."""
    while True:
        state = manager.recv(4096).decode().split("\n")
        if all(any(got.startswith(line) for got in state) for line in lines):
            return

until("READY=1", "STATUS=serving")
until("WATCHDOG=1")
until("WATCHDOG=1")
broker.send_signal(signal.SIGHUP)
until("RELOADING=1", "MONOTONIC_USEC=")
until("READY=1")
broker.send_signal(signal.SIGTERM)
until("STOPPING=1")
sys.exit(broker.wait(20))
END
expect 0 '' '' /usr/bin/python3 "$work/manager.py" "$ferry_binary" "$work"
/usr/bin/python3 - "$work/log" <<'END' || failed 'the log as JSON' "$work/log"
import json, sys
lines = [line for line in open(sys.argv[1])]
assert all(line.startswith(("<6>{", "<4>{")) for line in lines), lines
objects = [json.loads(line[3:]) for line in lines]
assert all(set(o) >= {"time", "level", "message"} for o in objects), objects
messages = [o["message"] for o in objects]
assert "ready" in messages and "the configuration has been read again" in messages, messages
assert any(o["message"] == "the queues are restored" and "ms" in o for o in objects), objects
END
printf '[broker]\nlog_format = xml\n' >"$work/bad"
expect 2 '' "log_format must be text or json, not 'xml'" ferry broker --config "$work/bad" --check-config
expect 0 '' '' ferry broker --config "$(dirname "$0")/../../packaging/ferry.conf" --check-config

# The units: systemd finds no mistake, and no more exposure than their sandboxes leave
if command -v systemd-analyze >/dev/null; then
    mkdir -p "$work/units"
    for unit in "${units[@]}"; do
        sed "s,^ExecStart=[^ ]*,ExecStart=$ferry_binary," "$unit" >"$work/units/${unit##*/}"
    done
    for unit in "$work"/units/*; do
        expect 0 '' '' systemd-analyze verify --man=no "$unit"
        [[ $unit == *.service ]] || continue
        expect 0 '*' '' systemd-analyze security --offline=true --threshold=15 "$unit"
        grep 'Overall exposure' "$work/out"
    done
else
    echo 'no systemd-analyze: the unit is not checked'
fi
done_testing
