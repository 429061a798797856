#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The walk through docs/security.md, word for word: test-security.sh FERRY SECURITY.md. Lines after '#' run as root, lines
# after 'shop$' and 'worker$' as the uids 1001 and 1002; the other lines of a block are what the command prints.
page=$2
source "$(dirname "$0")/lib.sh" "$1"
[ "$(id -u)" -eq 0 ] || { echo 'skipped: only root can run programs as other users'; exit 77; }
command -v setpriv >/dev/null || { echo 'skipped: there is no setpriv'; exit 77; }

unset FERRY_URL
chmod 755 "$work"
mkdir "$work/run" "$work/etc" "$work/bin"
ln -s "$ferry_binary" "$work/bin/ferry"
export PATH="$work/bin:$PATH" PS4=
setpriv --reuid=1001 --regid=1001 --clear-groups ferry --version >/dev/null 2>&1 ||
    { echo "skipped: other users cannot run $ferry_binary"; exit 77; }

# The folders of the page are folders of this test.
placed() { sed "s,/run/ferry,$work/run,g; s,/etc/ferry,$work/etc,g"; }
awk '/^```ini/ { inside = 1; next } /^```/ { inside = 0 } inside' "$page" | placed >"$work/etc/ferry.conf"
awk '/^```console/ { inside = 1; next } /^```/ { inside = 0 } inside' "$page" | placed >"$work/lines"

run_as() { # USER COMMAND: what it prints goes to $work/got
    case $1 in
    shop) timeout -k 5 20 setpriv --reuid=1001 --regid=1001 --clear-groups bash -c "$2" ;;
    worker) timeout -k 5 20 setpriv --reuid=1002 --regid=1002 --clear-groups bash -c "$2" ;;
    esac >"$work/got" 2>&1 </dev/null
}

compare() { # what the last command printed, with the page
    [ -n "$command" ] || return
    n_checks=$((n_checks + 1))
    diff "$work/wanted" "$work/got" >"$work/difference" || failed "$command" "$work/difference"
}

command= n_commands=0
: >"$work/wanted"
while IFS= read -r line <&9; do
    case $line in
    '# '* | 'shop$ '* | 'worker$ '*)
        compare
        : >"$work/wanted"
        command=${line#*[#$] }
        n_commands=$((n_commands + 1))
        case $line in
        *' &')
            eval "exec_command=(${command% &})"
            start "${exec_command[@]:1}"
            : >"$work/got"
            for _ in $(seq 200); do [ -S "$work/run/socket" ] && break || sleep 0.05; done
            ;;
        '# export '*) export "${command#export }"; : >"$work/got" ;;
        '# '*) timeout -k 5 20 bash -c "$command" >"$work/got" 2>&1 </dev/null ;;
        'shop$ '*) run_as shop "$command" ;;
        *) run_as worker "$command" ;;
        esac
        ;;
    *) printf '%s\n' "$line" >>"$work/wanted" ;;
    esac
done 9<"$work/lines"
compare
[ "$n_commands" -ge 20 ] || failed 'the page has its commands' "$work/lines"
done_testing
