#!/bin/sh
# Install the container engine from Debian's own packages, in the version that the configuration's
# directory names, and what the nodes make their container image from.
set -eu

: "${DOCKER_VERSION:?the engine version, such as 20.10}"
export DEBIAN_FRONTEND=noninteractive

# Nothing here needs manuals or to survive a power cut, and both cost most of the time.
cat >/etc/dpkg/dpkg.cfg.d/90-lean <<'END'
force-unsafe-io
path-exclude=/usr/share/doc/*
path-include=/usr/share/doc/*/copyright
path-exclude=/usr/share/man/*
path-exclude=/usr/share/locale/*
END
cat >/etc/apt/apt.conf.d/90-lean <<'END'
APT::Install-Recommends "false";
Acquire::Languages "none";
Acquire::Retries "3";
END

# No service may start now: what an engine writes at its first start (its identity, its store) would
# then be the same on every node that is made from this image.
printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
chmod 755 /usr/sbin/policy-rc.d
# Nothing that is installed here belongs into the initial RAM disk, and making that anew takes minutes
# without hardware acceleration.
initrd=/etc/initramfs-tools/update-initramfs.conf
cp -p "$initrd" "$initrd.before"
echo 'update_initramfs=no' >"$initrd"
trap 'rm -f /usr/sbin/policy-rc.d; mv "$initrd.before" "$initrd"' EXIT

apt-get -q update
apt-get -q -y install "docker.io=$DOCKER_VERSION.*" apparmor busybox-static iptables

version=$(dpkg-query -W -f '${Version}' docker.io) # engine and client are one package
case $version in
  "$DOCKER_VERSION."*) echo "docker.io $version" ;;
  *)
    echo "docker.io is not of version $DOCKER_VERSION: $version" >&2
    exit 1
    ;;
esac

# Whoever administers a node may talk to its engine.
if [ -n "${SUDO_USER:-}" ]; then
  usermod -aG docker "$SUDO_USER"
fi

apt-get clean
rm -rf /var/lib/apt/lists/*
