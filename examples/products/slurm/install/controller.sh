#!/bin/sh
# On the first master: the controller.
set -eu

systemctl enable --now slurmctld
