# SPDX-License-Identifier: Apache-2.0
# What ./dev example tls runs: see examples/run.sh. Endpoints with certificates made for this run.
"$here/tls/certificates.sh" "$scratch"

# endpoint NAME ARGUMENT...: starts one; its port in $port.
endpoint() {
    start "$build/examples/tls-endpoint" "$scratch/$1.pem" "${@:2}"
    until_true is_listening "$started"
    port=$(listening_port "$started")
}
listening_port() { python3 - "$1" <<'PY'
import os, sys
inodes = {os.readlink(f"/proc/{sys.argv[1]}/fd/{fd}") for fd in os.listdir(f"/proc/{sys.argv[1]}/fd")}
for line in open("/proc/net/tcp").readlines()[1:]:
    words = line.split()
    if words[3] == "0A" and f"socket:[{words[9]}]" in inodes:
        print(int(words[1].split(":")[1], 16))
PY
}
is_listening() { [ -n "$(listening_port "$1")" ]; }

export TLS_ALLOW=localhost TLS_CERTIFICATE=$scratch/client.pem
serve tls
cd "$scratch"
endpoint good
client tls-client localhost "$port" -a ca.pem -v
client tls-client localhost "$port" -a ca.pem -p TLSv1.2
client tls-client localhost "$port" -a ca.pem -p TLSv1.9 || echo "(exit status $?)"
for certificate in self wrong expired; do
    endpoint "$certificate"
    client tls-client localhost "$port" -a ca.pem || echo "(exit status $?)"
done
endpoint good -a ca.pem -r
client tls-client localhost "$port" -a ca.pem || echo "(exit status $?)"
client tls-client localhost "$port" -a ca.pem -c
