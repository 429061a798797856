#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The walk through two machines in docs/security.md, word for word: test-machines.sh FERRY SECURITY.md. The machines are
# network namespaces that vanish with this test: 'hub#' is 192.0.2.1, 'desk$' 192.0.2.2.
page=$2
source "$(dirname "$0")/lib.sh" "$1"
source "$(dirname "$0")/walk.sh"

unset FERRY_URL FERRY_KEY FERRY_SERVER_KEY FERRY_CONTEXT
mkdir "$work/run" "$work/etc" "$work/desk" "$work/bin"
ln -s "$ferry_binary" "$work/bin/ferry"
export PATH="$work/bin:$PATH" PS4=
unshare -n sleep 600 &
hub=$!
unshare -n sleep 600 &
desk=$!
started+=("$hub" "$desk")
until_true bash -c "[ \"\$(readlink /proc/$hub/ns/net)\" != \"\$(readlink /proc/self/ns/net)\" ] &&
    [ \"\$(readlink /proc/$desk/ns/net)\" != \"\$(readlink /proc/self/ns/net)\" ]" ||
    { echo 'skipped: no network namespaces'; exit 77; }
on() { local pid=$1; shift; nsenter -t "$pid" -n "$@"; }
on "$hub" ip link add hub0 type veth peer name desk0 netns "$desk" 2>"$work/veth" ||
    { echo "skipped: no pair of network devices: $(cat "$work/veth")"; exit 77; }
on "$hub" ip address add 192.0.2.1/24 dev hub0 && on "$hub" ip link set hub0 up && on "$hub" ip link set lo up
on "$desk" ip address add 192.0.2.2/24 dev desk0 && on "$desk" ip link set desk0 up

# The folders of the page are folders of this test; the administrator is in /etc/ferry, ann in her home folder.
placed() { sed "s,/run/ferry,$work/run,g; s,/etc/ferry,$work/etc,g"; }

# Each machine gets the public keys of the other, as the page tells people to do.
exchange() {
    cp -u "$work/etc/"*.public "$work/desk/" 2>/dev/null
    cp -u "$work/desk/"*.public "$work/etc/" 2>/dev/null
}

run_as() { # PROMPT COMMAND
    case "$1 $2" in
    'hub# '*' &')
        (cd "$work/etc" && exec nsenter -t "$hub" -n bash -c "exec ${2% &}") >"$work/broker.log" 2>&1 &
        started+=($!)
        until_true test -S "$work/run/socket"
        : >"$work/got" ;;
    'hub# '*) (cd "$work/etc" && on "$hub" timeout -k 5 120 bash -c "$2") >"$work/got" 2>&1 </dev/null ;;
    *) (cd "$work/desk" && XDG_CONFIG_HOME="$work/desk/config" on "$desk" timeout -k 5 120 bash -c "$2") >"$work/got" 2>&1 </dev/null ;;
    esac
    exchange
}

for section in 'Between two machines' 'New keys'; do
    [ -f "$work/etc/ferry.conf" ] || blocks ini "$section" "$page" | placed >"$work/etc/ferry.conf"
    walk "$section" "$page"
    [ "$n_commands" -ge 10 ] || failed 'the page has its commands' "$work/lines"
    [ "$section" != 'Between two machines' ] || equal 10 "$n_commands" 'the commands from no keys to a locked-down broker'
done
[ ! -s "$work/broker.log" ] || sed 's/^/    /' "$work/broker.log"
done_testing
