#!/bin/sh
# On every agent: the daemon that runs jobs.
set -eu

systemctl enable --now slurmd
