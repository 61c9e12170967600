#!/bin/sh
# On the first master, repeated until it succeeds: every node is ready, and the agents are labelled
# with their role, so that services can be placed by it. Nodes are known by the address they joined
# with.
set -eu

ids=$(docker node ls --quiet)
# shellcheck disable=SC2086 # one word an id
nodes=$(docker node inspect --format \
  '{{.ID}} {{with .ManagerStatus}}{{.Addr}}{{else}}{{.Status.Addr}}:{{end}} {{.Status.State}} {{with index .Spec.Labels "role"}}{{.}}{{else}}-{{end}}' \
  $ids)

missing=0
check_node() { # ROLE ADDRESS
  role=$1 address=$2
  # shellcheck disable=SC2046 # the words of one line
  set -- $(echo "$nodes" | grep -F " $address:" || true)
  if [ "${3:-missing}" != ready ]; then
    echo "$role $address: ${3:-missing}"
    missing=1
  elif [ "$role" != master ] && [ "$4" != "$role" ]; then
    docker node update --label-add "role=$role" "$1" >/dev/null
  fi
}

for address in $(echo "$OSQUAL_MASTER_ADDRESSES" | tr ',' ' '); do
  check_node master "$address"
done
for address in $(echo "$OSQUAL_PRIVATE_AGENT_ADDRESSES" | tr ',' ' '); do
  check_node private_agent "$address"
done
for address in $(echo "$OSQUAL_PUBLIC_AGENT_ADDRESSES" | tr ',' ' '); do
  check_node public_agent "$address"
done
exit "$missing"
