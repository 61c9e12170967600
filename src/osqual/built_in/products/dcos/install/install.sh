#!/bin/bash
# On every node: install DC/OS for the node's role, from the first master.
set -euo pipefail

[ ! -e /opt/mesosphere/bin/dcos-diagnostics ] || { echo "DC/OS is installed already"; exit 0; }

case $OSQUAL_NODE_ROLE in
  master) role=master ;;
  private_agent) role=slave ;;
  public_agent) role=slave_public ;;
esac
curl -fsSL --retry 30 --retry-delay 5 --retry-connrefused -o /var/tmp/dcos_install.sh \
  "http://${OSQUAL_MASTER_ADDRESSES%%,*}:60080/dcos_install.sh"
bash /var/tmp/dcos_install.sh "$role"
