#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# An sshd on loopback for this user, with keys made for it: sshd.sh FOLDER PORT. It does not return.
#
#     FOLDER/host.pub         its key
#     FOLDER/user             a key that may log in
#     FOLDER/known_hosts      its key, as localhost
set -euo pipefail
folder=$1 port=$2
PATH=$PATH:/usr/sbin
for key in host user; do
    [ -f "$folder/$key" ] || ssh-keygen -q -t ed25519 -N '' -f "$folder/$key"
done
cp "$folder/user.pub" "$folder/authorized_keys"
echo "[localhost]:$port $(cut -d' ' -f1,2 "$folder/host.pub")" >"$folder/known_hosts"
cat >"$folder/sshd_config" <<CONF
ListenAddress 127.0.0.1:$port
HostKey $folder/host
AuthorizedKeysFile $folder/authorized_keys
PidFile none
StrictModes no
UsePAM no
PermitRootLogin yes
PasswordAuthentication yes
PrintMotd no
CONF
run="exec $(command -v sshd) -D -e -f $folder/sshd_config"
if [ "$(id -u)" -eq 0 ]; then # of root it wants /run/sshd: in a mount namespace of its own
    exec unshare -m sh -c "mount -t tmpfs tmpfs /run && mkdir -m 755 /run/sshd && $run"
fi
exec sh -c "$run"
