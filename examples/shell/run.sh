# SPDX-License-Identifier: Apache-2.0
# What ./dev example shell runs: see examples/run.sh. sshd.sh and telnetd.py are hosts on loopback.
PATH=$PATH:/usr/sbin command -v sshd >/dev/null || { echo "shell needs sshd: apt-get install openssh-server"; exit 77; }
port=$(free_port)
start "$here/shell/sshd.sh" "$scratch" "$port"
start python3 "$here/shell/telnetd.py"
until_true is_in_log 'Server listening'
until_true is_in_log 'telnet on port'
telnet=$(sed -n 's/.*telnet on port //p' "$scratch/log")
export SHELL_ALLOW=localhost SHELL_SSH_KEY=$scratch/user SHELL_KNOWN_HOSTS=$scratch/known_hosts
export SHELL_COMMANDS="hello=echo Hello, world; echo=echo ...; shout=tr a-z A-Z; list=ls ...; fail=false; sleep=sleep 30"
serve shell
user=$(id -un)
client shell-client </dev/null
client shell-client hello </dev/null
client shell-client echo '$(id)' "; id" </dev/null
echo '$ echo "as loud as you can" | shell-client shout'
echo "as loud as you can" | "$build/examples/shell-client" shout
client shell-client list /nowhere 2>&1 </dev/null || echo "(exit status $?)"
client shell-client -l 300 sleep 2>&1 </dev/null || echo "(exit status $?)"
client shell-client rm 2>&1 </dev/null || echo "(exit status $?)"
client shell-client -s "$user@localhost:$port" echo 'Hello, world' </dev/null
client shell-client -s "$user@localhost:$port" -p wrong hello 2>&1 </dev/null || echo "(exit status $?)"
sed -i "s/^\[localhost\]/[elsewhere]/" "$scratch/known_hosts"
client shell-client -s "$user@localhost:$port" hello 2>&1 </dev/null || echo "(exit status $?)"
echo "[localhost]:$port $(cut -d' ' -f1,2 "$scratch/user.pub")" >"$scratch/known_hosts"
client shell-client -s "$user@localhost:$port" hello 2>&1 </dev/null || echo "(exit status $?)"
client shell-client -t "anna@localhost:$telnet" -p 'open sesame' 'echo Hello, world' </dev/null
