#!/bin/sh
# Install Slurm and its authentication service from Debian's own packages, in the version that the
# configuration's directory names. Every node gets both daemons; the installation of the product
# decides which of them a node runs.
set -eu

: "${SLURM_VERSION:?the version of Slurm, such as 22.05}"
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

# No service may start now: what it writes at its first start belongs to one node, not to an image.
printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
chmod 755 /usr/sbin/policy-rc.d
trap 'rm -f /usr/sbin/policy-rc.d' EXIT

apt-get -q update
apt-get -q -y install "slurmctld=$SLURM_VERSION.*" "slurmd=$SLURM_VERSION.*" \
  "slurm-client=$SLURM_VERSION.*" munge

# Its package makes a key. A cluster whose nodes come from this image would share it with every other
# cluster that does.
rm -f /etc/munge/munge.key
# Which of them a node runs is decided when it is installed.
systemctl disable munge slurmctld slurmd

apt-get clean
rm -rf /var/lib/apt/lists/*
