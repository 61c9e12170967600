#!/bin/sh
# On every node: the cluster's key and the one configuration that all of them share. Nodes are named
# with their addresses, so nothing depends on a name service.
set -eu

install -d -o munge -g munge -m 700 /etc/munge
echo "$MUNGE_KEY" | base64 -d >/etc/munge/munge.key.new
chown munge:munge /etc/munge/munge.key.new
chmod 400 /etc/munge/munge.key.new
mv /etc/munge/munge.key.new /etc/munge/munge.key

first() { echo "$1" | cut -d, -f1; }

# Names and addresses are two lists in the same order.
nodes_of() { # PARTITION NAMES ADDRESSES
  partition=$1 names=$2 addresses=$3 number=0
  [ -n "$names" ] || return 0
  for name in $(echo "$names" | tr , ' '); do
    number=$((number + 1))
    address=$(echo "$addresses" | cut -d, -f"$number")
    echo "NodeName=$name NodeAddr=$address CPUs=1 RealMemory=400 State=UNKNOWN"
  done
  echo "PartitionName=$partition Nodes=$names MaxTime=INFINITE State=UP"
}

install -d /etc/slurm
{
  cat <<END
ClusterName=qualified
SlurmctldHost=$(first "$OSQUAL_MASTER_NAMES")($(first "$OSQUAL_MASTER_ADDRESSES"))
SlurmUser=slurm
AuthType=auth/munge
StateSaveLocation=/var/lib/slurm/slurmctld
SlurmdSpoolDir=/var/lib/slurm/slurmd
SlurmctldPidFile=/run/slurmctld.pid
SlurmdPidFile=/run/slurmd.pid
SlurmctldLogFile=/var/log/slurm/slurmctld.log
SlurmdLogFile=/var/log/slurm/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
# A machine without hardware acceleration takes its time to answer.
MessageTimeout=60
SlurmctldTimeout=300
SlurmdTimeout=600
ReturnToService=2
KillWait=5
END
  nodes_of batch "${OSQUAL_PRIVATE_AGENT_NAMES:-}" "${OSQUAL_PRIVATE_AGENT_ADDRESSES:-}"
  nodes_of interactive "${OSQUAL_PUBLIC_AGENT_NAMES:-}" "${OSQUAL_PUBLIC_AGENT_ADDRESSES:-}"
} >/etc/slurm/slurm.conf
install -d -o slurm -g slurm -m 755 /var/log/slurm /var/lib/slurm /var/lib/slurm/slurmctld
install -d -m 755 /var/lib/slurm/slurmd
systemctl enable --now munge
