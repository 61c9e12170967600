#!/bin/bash
# On the controller: the helloworld tests of dcos-commons, at one commit, against the cluster.
set -euo pipefail

source=$OSQUAL_SUITE_DIR/dcos-commons
git init -q "$source"
git -C "$source" fetch -q --depth 1 "$DCOS_COMMONS_URL" "$DCOS_COMMONS_COMMIT"
git -C "$source" checkout -q FETCH_HEAD
cd "$source"

CLUSTER_URL=https://$(ssh -G -F "$OSQUAL_SSH_CONFIG" master-1 | sed -n 's/^hostname //p')
export CLUSTER_URL DCOS_LOGIN_USERNAME DCOS_LOGIN_PASSWORD S3_BUCKET
exec ./test.sh -o --headless helloworld
