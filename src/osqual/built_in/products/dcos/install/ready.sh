#!/bin/sh
# On every node, repeated until it succeeds: DC/OS says that this node is well.
set -eu

# shellcheck disable=SC1091 # made by DC/OS
. /opt/mesosphere/environment.export
/opt/mesosphere/bin/dcos-diagnostics check node-poststart
