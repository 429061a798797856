# SPDX-License-Identifier: Apache-2.0
# What ./dev example dns runs: see examples/run.sh. NSD serves example.zone and whoisd.py answers
# whois questions, both on loopback.
nsd=$(PATH=$PATH:/usr/sbin command -v nsd) || { echo "dns needs a name server: apt-get install nsd"; exit 77; }
port=$(free_port)
cat >"$scratch/nsd.conf" <<CONF
server:
    ip-address: 127.0.0.1@$port
    username: ""
    chroot: ""
    zonesdir: "$here/dns"
    database: ""
    pidfile: ""
    zonelistfile: "$scratch/zones"
    xfrdfile: ""
    xfrdir: "$scratch"
remote-control:
    control-enable: no
zone:
    name: example.test
    zonefile: example.zone
CONF
start "$nsd" -d -c "$scratch/nsd.conf"
start python3 "$here/dns/whoisd.py"
until_true is_in_log 'whois on port'
until_true is_in_log 'nsd started'
export DNS_SERVERS=127.0.0.1:$port WHOIS_ALLOW=127.0.0.1:$(sed -n 's/.*whois on port //p' "$scratch/log")
serve dns
client dns-client example.test
client dns-client --mail example.test
client dns-client --mail www.example.test
for domain in silent ring not-exists; do
    client dns-client --mail $domain.example.test || echo "(exit status $?)"
done
client dns-client --whois example.test
