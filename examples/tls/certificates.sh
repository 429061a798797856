#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Makes certificates for the tls, webget and website rows and their tests: certificates.sh FOLDER
#
#     ca.pem         an authority of our own
#     good.pem       localhost and 127.0.0.1, signed by it, with its key
#     wrong.pem      other.test
#     expired.pem    localhost, until a day ago
#     self.pem       localhost, signed by itself
#     client.pem     anna, for a client
set -euo pipefail
cd "$1"
quiet() { openssl "$@" 2>openssl.log || { cat openssl.log >&2; return 1; }; }
key() { quiet ecparam -name prime256v1 -genkey -noout -out "$1.key"; }

key ca
quiet req -x509 -new -key ca.key -subj "/O=Ferry/CN=Test authority" -days 30 -out ca.pem
# signed NAME COMMON-NAME ALTERNATIVES DAYS
signed() {
    key "$1"
    quiet req -new -key "$1.key" -subj "/O=Ferry/CN=$2" -out "$1.csr"
    printf 'subjectAltName=%s\n' "$3" >"$1.ext"
    quiet x509 -req -in "$1.csr" -CA ca.pem -CAkey ca.key -CAcreateserial -days "$4" -extfile "$1.ext" -out "$1.crt"
    cat "$1.crt" "$1.key" >"$1.pem"
}
signed good localhost DNS:localhost,DNS:web.test,IP:127.0.0.1 30
signed wrong other.test DNS:other.test 30
signed expired localhost DNS:localhost,IP:127.0.0.1 -1
signed client anna DNS:anna.test 30
key self
quiet req -x509 -new -key self.key -subj "/CN=localhost" -addext "subjectAltName=DNS:localhost,IP:127.0.0.1" -days 30 -out self.crt
cat self.crt self.key >self.pem
rm -f ./*.csr ./*.ext ./*.srl openssl.log
