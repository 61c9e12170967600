#!/bin/sh
set -eu
echo "hello from $OSQUAL_NODE_NAME" >/etc/greeting
