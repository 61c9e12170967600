#!/bin/sh
# On every node but the first: join the swarm, masters as managers, agents as workers.
set -eu

case $OSQUAL_NODE_ROLE in
  master) token=$SWARM_MANAGER_TOKEN ;;
  *) token=$SWARM_WORKER_TOKEN ;;
esac
if ! said=$(
  docker swarm join --advertise-addr "$OSQUAL_NODE_ADDRESS" --token "$token" "$SWARM_MANAGER" 2>&1
); then
  case $said in
    *"already part of a swarm"*) ;;
    *)
      echo "$said" >&2
      exit 1
      ;;
  esac
fi
echo "$said"
