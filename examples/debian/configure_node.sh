#!/bin/sh
# Settings of a node: small and often edited, so it comes after the slow installation.
set -eu

cat >/etc/modules-load.d/swarm.conf <<'END'
overlay
br_netfilter
vxlan
ip_vs
END

cat >/etc/sysctl.d/90-swarm.conf <<'END'
net.ipv4.ip_forward = 1
net.bridge.bridge-nf-call-iptables = 1
net.ipv4.tcp_keepalive_time = 600
fs.inotify.max_user_instances = 512
vm.overcommit_memory = 1
END

install -d -m 755 /etc/docker
cat >/etc/docker/daemon.json <<'END'
{
  "storage-driver": "overlay2",
  "exec-opts": ["native.cgroupdriver=systemd"],
  "log-driver": "json-file",
  "log-opts": { "max-size": "10m", "max-file": "3" }
}
END
