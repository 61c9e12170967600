#!/bin/bash
# On the first master: make the installer for this cluster and serve it to all nodes.
# A Terraform module may have installed DC/OS already; then there is nothing to do.
set -euo pipefail

[ ! -e /opt/mesosphere/bin/dcos-diagnostics ] || { echo "DC/OS is installed already"; exit 0; }

port=60080
work=/var/tmp/osqual-dcos
mkdir -p "$work/genconf"
cd "$work"

echo "downloading $OSQUAL_VARIABLE_CUSTOM_DCOS_DOWNLOAD_PATH"
curl -fsSL --retry 5 -o dcos_generate_config.sh "$OSQUAL_VARIABLE_CUSTOM_DCOS_DOWNLOAD_PATH"

# The address by which the others know this node, on every platform.
cat >genconf/ip-detect <<'DETECT'
#!/bin/sh
ip route get 198.51.100.1 | sed -n 's/.* src \([0-9.]*\).*/\1/p;q'
DETECT
chmod +x genconf/ip-detect

list() { # ADDRESSES, separated by commas
  for address in ${1//,/ }; do echo "  - $address"; done
}

{
  echo "bootstrap_url: http://${OSQUAL_MASTER_ADDRESSES%%,*}:$port"
  echo "cluster_name: osqual"
  echo "exhibitor_storage_backend: static"
  echo "master_discovery: static"
  echo "master_list:"
  list "$OSQUAL_MASTER_ADDRESSES"
  echo "agent_list:"
  list "$OSQUAL_PRIVATE_AGENT_ADDRESSES"
  echo "public_agent_list:"
  list "$OSQUAL_PUBLIC_AGENT_ADDRESSES"
  echo "resolvers:"
  awk '$1 == "nameserver" && $2 !~ /^127\./ { print "  - " $2 }' \
    /etc/resolv.conf /run/systemd/resolve/resolv.conf 2>/dev/null | sort -u
  echo "process_timeout: 10000"
  echo "telemetry_enabled: false"
  if [ -n "$DCOS_LICENSE_KEY" ]; then
    echo "security: permissive"
    echo "superuser_username: $DCOS_LOGIN_USERNAME"
    echo "superuser_password_hash: '$DCOS_LOGIN_PASSWORD_HASH'"
    echo "license_key_contents: '$DCOS_LICENSE_KEY'"
  else
    echo "oauth_enabled: false"
  fi
} >genconf/config.yaml
chmod 600 genconf/config.yaml

bash dcos_generate_config.sh
docker rm -f osqual-dcos-bootstrap >/dev/null 2>&1 || true
docker run -d --name osqual-dcos-bootstrap -p "$port:80" \
  -v "$work/genconf/serve:/usr/share/nginx/html:ro" nginx:stable
