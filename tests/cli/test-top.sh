#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# ferry top: once, as JSON, and on a terminal, with keys.
source "$(dirname "$0")/lib.sh" "$1"
start_broker
broker=${started[0]}
expect 0 '*' '' ferry push mail hello
expect 0 '*' '' ferry push other hello
expect 0 '' '' ferry pub orders.new x
start serve calc.Calc.add --echo
until_true ferry ping calc.Calc

expect 0 '*' '' ferry top --once --json --every 100ms
/usr/bin/python3 - "$work/out" <<'END' || failed 'ferry top --once --json' "$work/out"
import json, sys
top = json.load(open(sys.argv[1]))
assert top["services"][0]["name"] == "calc.Calc" and top["services"][0]["calls_rate"] == 0, top
assert {q["name"]: q["ready"] for q in top["queues"]} == {"mail": 1, "other": 1}, top
assert any(t["name"] == "orders.new" for t in top["topics"]), top
assert len(top["sessions"]) >= 2 and top["stats"]["pushed"] == 2, top
END
expect 0 '*' '' ferry top --once --view queues --filter mai --every 100ms
equal 1 "$(grep -c . "$work/out")" 'rows of a filtered view'
expect 2 '' 'not a terminal' ferry top
expect 2 '' '' ferry top --view nothing

ferry help top | grep -q -- --once || failed 'help'
if ! ferry_has_ncurses=$(ldd "$ferry_binary" | grep -c ncurses) || [ "$ferry_has_ncurses" = 0 ]; then
    echo 'built without ncurses: the screen is not tried'
    done_testing
fi
cat >"$work/keys.py" <<'END'
import fcntl, os, pty, select, signal, struct, sys, termios, time

ferry, broker = sys.argv[1], int(sys.argv[2])
pid, terminal = pty.fork()
if pid == 0:
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 120, 0, 0))
    os.environ["TERM"] = "xterm"
    os.execv(ferry, [ferry, "top", "--every", "200ms"])
shown = b""

def until(text):
    """The program writes the text; a hang alone takes this long."""
    global shown
    ends = time.monotonic() + 20
    while text.encode() not in shown:
        if not select.select([terminal], [], [], max(0, ends - time.monotonic()))[0]:
            sys.exit(f"{text!r} never came, but {shown!r}")
        shown += os.read(terminal, 65536)
    shown = b""

def press(keys):
    os.write(terminal, keys.encode() + b"\x0c")  # Ctrl-L: all of the screen comes again

until("calc.Calc")
press("2")
until("PUSHED/S")
press("/othe\r")
until("1 rows with othe")
press("\t")
until("orders.new")
press("4")
until("ADDRESS")
press("\x1b[C")
until("rows")
press(" ")
until("PAUSED")
press(" ")
os.kill(broker, signal.SIGKILL)
until("no answer from the broker")
press("q")
while True:
    try:
        if not os.read(terminal, 65536):
            break
    except OSError:
        break
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
END
expect 0 '' '' /usr/bin/python3 "$work/keys.py" "$ferry_binary" "$broker"
done_testing
