#!/bin/sh
# On the first master: start the swarm and hand on what the other nodes need to join it. A client
# call costs seconds without hardware acceleration, so there are no more than needed.
set -eu

# Each heartbeat has 5 s to arrive, and after three lost periods a node's tasks are started elsewhere:
# that makes a busy machine busier still, so heartbeats are few.
if ! said=$(docker swarm init --advertise-addr "$OSQUAL_NODE_ADDRESS" --dispatcher-heartbeat 60s 2>&1)
then
  case $said in
    *"already part of a swarm"*) said=$(docker swarm join-token --quiet worker) ;;
    *)
      echo "$said" >&2
      exit 1
      ;;
  esac
fi

manager_token=
case $OSQUAL_MASTER_NAMES in
  *,*) manager_token=$(docker swarm join-token --quiet manager) ;;
esac
{
  echo "SWARM_MANAGER=$OSQUAL_NODE_ADDRESS:2377"
  echo "SWARM_MANAGER_TOKEN=$manager_token"
  echo "SWARM_WORKER_TOKEN=$(echo "$said" | grep -o 'SWMTKN-[0-9a-z-]*')"
} >"$OSQUAL_OUTPUT"
