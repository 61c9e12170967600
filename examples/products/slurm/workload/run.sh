#!/bin/sh
# A small real workload: pi by counting, in as many jobs as there are parts, each on whichever agent
# is free, and a last job that waits for them and adds up. Over ssh on the first master.
set -eu

master=$(echo "$OSQUAL_MASTER_NAMES" | cut -d, -f1)
agent=$(echo "${OSQUAL_PRIVATE_AGENT_NAMES:-}" | cut -d, -f1)
[ -n "$agent" ] || { echo "1..0 # SKIP this cluster has no private agent"; exit 0; }

on() { # HOST COMMAND
  ssh -F "$OSQUAL_SSH_CONFIG" "$1" "$2"
}

# Points of a 200 x 200 grid that lie in the quarter circle, in four parts.
part='awk -v part="$SLURM_ARRAY_TASK_ID" "BEGIN {
  for (x = part - 1; x < 200; x += 4) for (y = 0; y < 200; y++)
    if ((x + 0.5) ^ 2 + (y + 0.5) ^ 2 < 40000) inside++
  print inside }" >"/tmp/pi.$SLURM_ARRAY_TASK_ID"'
sum='cat /tmp/pi.1 /tmp/pi.2 /tmp/pi.3 /tmp/pi.4 |
  awk "{ inside += \$1 } END { printf \"%.2f\", inside * 4 / 40000 }" >/tmp/pi'

options="--parsable --partition=batch --nodelist=$agent --chdir=/tmp --output=/dev/null"
quote() { printf "'%s'" "$(printf %s "$1" | sed "s/'/'\\\\''/g")"; }
parts=$(on "$master" "sbatch $options --array=1-4 --wrap=$(quote "$part")")
on "$master" "sbatch $options --dependency=afterok:$parts --wait --wrap=$(quote "$sum")" >/dev/null
pi=$(on "$agent" "cat /tmp/pi")

echo "1..1"
if [ "$pi" = 3.14 ]; then
  echo "ok 1 - four jobs and one that adds up make pi"
else
  echo "not ok 1 - four jobs and one that adds up make pi: $pi"
  exit 1
fi
