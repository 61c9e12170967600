#!/bin/sh
# On the first master, repeated until it succeeds: every agent is idle.
set -eu

wanted=$(printf '%s,%s' "${OSQUAL_PRIVATE_AGENT_NAMES:-}" "${OSQUAL_PUBLIC_AGENT_NAMES:-}" |
  tr , '\n' | grep -c .)
states=$(sinfo --noheader --Node --format '%N %T')
idle=$(echo "$states" | grep -c ' idle$' || true)
echo "$states" | grep -v ' idle$' || true
[ "$idle" -eq "$wanted" ]
