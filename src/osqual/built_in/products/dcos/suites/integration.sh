#!/bin/bash
# On the first master: the integration tests that this DC/OS release brings along. The arguments are
# the configuration's tests_to_run and what osqual adds.
set -euo pipefail

set +u
# shellcheck disable=SC1091 # made by DC/OS
source /opt/mesosphere/environment.export
set -u
cd "$(find /opt/mesosphere/active/ -name 'dcos-integration-test*' | sort | tail -n 1)"
export MASTER_HOSTS=$OSQUAL_MASTER_ADDRESSES
export PUBLIC_SLAVE_HOSTS=$OSQUAL_PUBLIC_AGENT_ADDRESSES
export SLAVE_HOSTS=$OSQUAL_PRIVATE_AGENT_ADDRESSES
exec py.test -s -vv "$@"
