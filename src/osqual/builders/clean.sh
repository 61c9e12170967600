#!/bin/sh
# Takes out of a built machine what belongs to the build and not to the image. Both builders run
# it last. OSQUAL_BUILD_KEY is the base64 part of the build's public key.
set -u

if [ "$(id -u)" != 0 ]; then
    exec sudo -n OSQUAL_BUILD_KEY="${OSQUAL_BUILD_KEY:-}" sh "$0"
fi

has() { command -v "$1" >/dev/null 2>&1; }

# Services that would write their state again while the machine is going down.
if has systemctl; then
    systemctl stop systemd-random-seed.service systemd-update-utmp.service \
        systemd-timesyncd.service chrony.service chronyd.service rsyslog.service 2>/dev/null
    journalctl --relinquish-var >/dev/null 2>&1 || systemctl stop systemd-journald 2>/dev/null
fi

# First-boot state: the next boot is a first boot again.
rm -f /var/lib/osqual/identity /var/lib/osqual/identity.new
if [ -f /etc/hosts ]; then
    sed -i '/^# osqual-seed begin$/,/^# osqual-seed end$/d' /etc/hosts
fi
if [ "$(cat /etc/hostname 2>/dev/null)" = osqual-build ]; then echo localhost >/etc/hostname; fi
rm -rf /var/lib/cloud/instance /var/lib/cloud/instances /var/lib/cloud/data \
    /var/lib/cloud/sem /var/lib/cloud/seed /var/lib/cloud/handlers
rm -f /etc/ssh/ssh_host_*_key /etc/ssh/ssh_host_*_key.pub /etc/ssh/ssh_host_*-cert.pub
# Empty, not missing: an empty file gets a new id without systemd's first-boot presets.
: >/etc/machine-id
[ -L /var/lib/dbus/machine-id ] || rm -f /var/lib/dbus/machine-id
rm -f /var/lib/systemd/random-seed /var/lib/systemd/credential.secret \
    /var/lib/urandom/random-seed /var/lib/misc/random-seed
rm -f /var/lib/dhcp/*.leases /var/lib/dhcp/*.lease /var/lib/dhclient/*.lease* \
    /var/lib/NetworkManager/*.lease /var/lib/NetworkManager/secret_key \
    /var/lib/NetworkManager/timestamps
rm -f /etc/udev/rules.d/70-persistent-net.rules /var/lib/systemd/timesync/clock

# The build's key goes; keys that the recipe added stay.
for file in /root/.ssh/authorized_keys /home/*/.ssh/authorized_keys; do
    [ -f "$file" ] || continue
    if [ -n "${OSQUAL_BUILD_KEY:-}" ] && grep -qF "$OSQUAL_BUILD_KEY" "$file"; then
        kept=$(grep -vF "$OSQUAL_BUILD_KEY" "$file")
        if [ -n "$kept" ]; then printf '%s\n' "$kept" >"$file"; else rm -f "$file"; fi
    fi
    rmdir "$(dirname "$file")" 2>/dev/null
done

# Logs, histories, caches, leftovers.
rm -rf /var/log/journal/*
find /var/log -type f \( -name '*.gz' -o -name '*.xz' -o -name '*.old' -o -name '*.[0-9]' \) \
    -exec rm -f {} +
find /var/log -type f -exec sh -c 'for file; do : >"$file"; done' sh {} +
# Empty would not do: a login's end is appended to it. It is made again at boot.
rm -f /var/log/wtmp
rm -f /root/.*_history /home/*/.*_history /root/.lesshst /home/*/.lesshst /root/.viminfo \
    /home/*/.viminfo /root/.wget-hsts /home/*/.wget-hsts /root/.sudo_as_admin_successful \
    /home/*/.sudo_as_admin_successful
rm -rf /root/.ansible /home/*/.ansible /root/.cache/pip
if has apt-get; then
    rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/cache/apt/archives/*.deb \
        /var/cache/apt/archives/partial/*
fi
rm -rf /var/cache/dnf/* /var/cache/yum/* /var/cache/zypp/packages/* /var/cache/ldconfig/aux-cache
find /tmp /var/tmp -xdev -mindepth 1 -delete 2>/dev/null

# Give freed blocks back, so that they are neither compressed nor published.
sync
if has fstrim; then fstrim -a >/dev/null 2>&1; fi
sync
exit 0
