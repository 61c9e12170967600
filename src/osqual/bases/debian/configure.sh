# Runs inside the new system, after all packages are installed; the guest files are in /tmp/osqual.
set -eu

cd /tmp/osqual
for name in seed grow resolv; do install -D -m 0755 "osqual-$name" "/usr/lib/osqual/$name"; done
install -m 0644 ./*.service ./*.path /etc/systemd/system/
systemctl enable osqual-grow.service osqual-resolv.path osqual-resolv.service \
    systemd-networkd.service
# A system that has cloud-init takes its identity from that. It would set a language that is not there.
if [ -e /usr/bin/cloud-init ]; then
    echo 'locale: false' > /etc/cloud/cloud.cfg.d/10_no_locale.cfg
else
    systemctl enable osqual-seed.service
fi

# Timers that would hold dpkg's lock or use the processor while a product is tested.
systemctl mask apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer \
    e2scrub_reap.service fstrim.timer
# A login prompt on a screen that nobody has (the serial console keeps its prompt), and work at each
# boot that finds nothing to do in a virtual machine without EFI.
systemctl mask getty@tty1.service systemd-pstore.service modprobe@efi_pstore.service \
    modprobe@drm.service systemd-network-generator.service systemd-sysusers.service
mkdir -p /etc/systemd/system-generators
for name in bless-boot cryptsetup gpt-auto hibernate-resume integritysetup veritysetup; do
    ln -s /dev/null "/etc/systemd/system-generators/systemd-$name-generator"
done

cat > /etc/systemd/network/80-dhcp.network <<'END'
[Match]
Name=en* eth*

[Network]
DHCP=yes
END

# The serial console shows everything from the boot loader on.
cat > /etc/default/grub <<'END'
GRUB_DEFAULT=0
GRUB_TIMEOUT=0
GRUB_DISTRIBUTOR=Debian
GRUB_CMDLINE_LINUX_DEFAULT=""
GRUB_CMDLINE_LINUX="console=ttyS0,115200"
GRUB_TERMINAL="serial console"
GRUB_SERIAL_COMMAND="serial --speed=115200"
GRUB_DISABLE_OS_PROBER=true
END

printf '127.0.0.1\tlocalhost\n::1\t\tlocalhost ip6-localhost ip6-loopback\n' > /etc/hosts
echo debian > /etc/hostname
ln -sf ../run/osqual/resolv.conf /etc/resolv.conf
printf 'Acquire::Languages "none";\n' > /etc/apt/apt.conf.d/90languages

# What this installation left behind and each machine must have of its own.
rm -f /etc/ssh/ssh_host_*_key /etc/ssh/ssh_host_*_key.pub /etc/apt/apt.conf.d/*mmdebstrap
rm -f /usr/sbin/policy-rc.d /var/lib/dbus/machine-id /var/lib/systemd/random-seed
[ ! -e /sbin/start-stop-daemon.REAL ] || mv /sbin/start-stop-daemon.REAL /sbin/start-stop-daemon
: > /etc/machine-id
rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/cache/debconf/*-old /var/lib/dpkg/*-old
find /var/log /var/cache/ldconfig -type f -delete
