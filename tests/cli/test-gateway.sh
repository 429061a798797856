#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# ferry gateway msgpack-rpc: a client in raw MessagePack, Neovim, a client of npm, bad input, and a broker that goes away.
# usage: test-gateway.sh FERRY CALC_SERVER CLIENT.py CLIENT.js NODE_MODULES
source "$(dirname "$0")/lib.sh" "$1"
calc=$2 client=$3 npm_client=$4 modules=$5
client() { timeout -k 5 120 /usr/bin/python3 "$client" "$@"; }
start_broker
broker=${started[0]}
"$calc" &
started+=("$!")
until_true ferry ping calc.Calc

start gateway msgpack-rpc --listen "unix:$work/rpc" --listen tcp://127.0.0.1:0 --max-connections 20 2>"$work/log"
port() { sed -n 's|.*listening on tcp://127.0.0.1:\([0-9]*\)$|\1|p' "$work/log" | grep .; }
until_true port
tcp=127.0.0.1:$(port)
start gateway msgpack-rpc --listen "unix:$work/maps" --service calc.Calc --errors map 2>"$work/maps.log"
until_true grep -q 'listening on' "$work/maps.log"

if /usr/bin/python3 -c 'import msgpack' 2>/dev/null; then
    expect 0 'calls: passed' '' client "unix:$work/rpc" calls
    expect 0 'topics: passed' '' client "$tcp" topics
    expect 0 'a job' '' ferry work mail --count 1
    expect 0 'maps: passed' '' client "unix:$work/maps" maps
    expect 0 'bad: passed' '' client "$tcp" bad
    equal 7 "$(grep -c 'a connection is cut: connection=[0-9]* peer=127.0.0.1:[0-9]* problem=' "$work/log")" 'lines about connections that were cut'
else
    echo 'no python3-msgpack: raw MessagePack is not tried'
fi

if command -v nvim >/dev/null; then
    cat >"$work/test.vim" <<END
let seen = []
function! OnOrder(topic, body)
    call add(g:seen, [a:topic, a:body])
endfunction
function! Try(...)
    try
        return call('rpcrequest', [g:ch] + a:000)
    catch
        return 'error ' . v:exception
    endtry
endfunction
let ch = sockconnect('tcp', '$tcp', {'rpc': v:true})
let lines = [Try('calc.Calc.add', 2, 3), Try('calc.Calc.div', 1, 0), Try('calc.Calc.absent')]
let lines += [Try('calc.Calc.say', 'text')]
let lines += [Try('ferry.subscribe', 'orders.*', {'method': 'nvim_call_function', 'args': ['OnOrder']})]
call rpcnotify(ch, 'ferry.publish', 'orders.new', 'an order')
call wait(10000, {-> len(g:seen) > 0})
let lines += seen
call writefile(map(lines, 'string(v:val)'), '$work/nvim')
qa!
END
    HOME=$work XDG_STATE_HOME=$work timeout -k 5 120 nvim --clean --headless -S "$work/test.vim" >"$work/out" 2>&1 || failed 'nvim' "$work/out"
    equal 5 "$(sed -n 1p "$work/nvim")" 'a call from Neovim'
    equal 1 "$(sed -n 2p "$work/nvim" | grep -c 'calc.DivisionByZero')" 'an exception in Neovim'
    equal 1 "$(sed -n 4p "$work/nvim" | grep -c text)" 'a text in Neovim'
    equal "['orders.new', 'an order']" "$(sed -n 6p "$work/nvim")" 'a message as a notification'
else
    echo 'no nvim: Neovim is not tried'
fi

if [ -d "$modules/msgpack-rpc-lite" ] && command -v node >/dev/null; then
    NODE_PATH=$modules expect 0 'npm: passed' '' timeout -k 5 120 node "$npm_client" "${tcp%:*}" "${tcp##*:}"
    expect 0 'a job of node' '' ferry work from-node --count 1
else
    echo 'no node with the package msgpack-rpc-lite: a client of npm is not tried'
fi

# Usage
expect 2 '' 'write msgpack-rpc' ferry gateway thrift --listen "unix:$work/x"
expect 2 '' '--listen' ferry gateway msgpack-rpc
expect 2 '' 'cannot listen' ferry gateway msgpack-rpc --listen "http://127.0.0.1"
expect 4 '' 'can be reached from other machines' ferry gateway msgpack-rpc --listen 'tcp://*:0'

if /usr/bin/python3 -c 'import msgpack' 2>/dev/null; then
    expect 0 'gone: passed' '' client "unix:$work/rpc" gone "$broker"
fi
done_testing
