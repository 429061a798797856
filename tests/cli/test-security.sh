#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The walk through one machine in docs/security.md, word for word: test-security.sh FERRY SECURITY.md. Lines after '#' run
# as root, lines after 'shop$' and 'worker$' as the uids 1001 and 1002.
page=$2
source "$(dirname "$0")/lib.sh" "$1"
source "$(dirname "$0")/walk.sh"
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
section='On one machine'
blocks ini "$section" "$page" | placed >"$work/etc/ferry.conf"

run_as() { # PROMPT COMMAND
    if [[ $1 == '#' && $2 == *' &' ]]; then
        eval "exec_command=(${2% &})"
        start "${exec_command[@]:1}"
        until_true test -S "$work/run/socket"
        : >"$work/got"
        return
    fi
    case "$1 $2" in
    '# export '*) export "${2#export }" ;;
    '# '*) timeout -k 5 120 bash -c "$2" ;;
    'shop$ '*) timeout -k 5 120 setpriv --reuid=1001 --regid=1001 --clear-groups bash -c "$2" ;;
    *) timeout -k 5 120 setpriv --reuid=1002 --regid=1002 --clear-groups bash -c "$2" ;;
    esac >"$work/got" 2>&1 </dev/null
}

walk "$section" "$page"
[ "$n_commands" -ge 20 ] || failed 'the page has its commands' "$work/lines"
done_testing
