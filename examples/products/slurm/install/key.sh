#!/bin/sh
# On the first master: the secret that all nodes of this cluster, and of no other, know each other by.
set -eu

key=$(head -c 128 /dev/urandom | base64 -w 0)
echo "MUNGE_KEY=$key" >"$OSQUAL_OUTPUT"
