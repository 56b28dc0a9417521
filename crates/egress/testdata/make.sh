#!/bin/sh
# Makes the test authority and the server certificates that it signs, valid for
# a hundred years. The authority's key is thrown away. For tests only: whoever
# reads this has the servers' keys.
set -eu
cd "$(dirname "$0")"
days=36500

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days $days \
    -subj "/CN=Egress test authority" -keyout authority.key -out authority.pem \
    -addext "basicConstraints=critical,CA:TRUE" -addext "keyUsage=critical,keyCertSign"

for name in localhost elsewhere.test; do
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
        -subj "/CN=$name" -keyout "$name.key" -out "$name.csr"
    printf 'subjectAltName=DNS:%s\nextendedKeyUsage=serverAuth\nbasicConstraints=CA:FALSE\n' \
        "$name" >"$name.ext"
    openssl x509 -req -in "$name.csr" -CA authority.pem -CAkey authority.key -days $days \
        -CAcreateserial -extfile "$name.ext" -out "$name.pem"
    rm "$name.csr" "$name.ext"
done
rm -f authority.key authority.srl
