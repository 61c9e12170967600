# Runs outside the new system, before the packages that read these files are installed.
# $1: root of the new system.
set -eu
etc=$1/etc/initramfs-tools
mkdir -p "$etc/conf.d" "$etc/hooks" "$etc/scripts/init-top" "$etc/scripts/init-bottom"

# A small initrd starts sooner, above all without hardware acceleration: only what a QEMU machine
# can have its root disk on, and no udev, which the real system starts anyway.
printf 'MODULES=list\n' > "$etc/conf.d/osqual"
cat > "$etc/hooks/osqual" <<'END'
#!/bin/sh
[ "$1" = prereqs ] && exit 0
. /usr/share/initramfs-tools/hook-functions
manual_add_modules virtio_pci virtio_blk virtio_scsi sd_mod ata_piix ahci nvme ext4
END
cat > "$etc/scripts/init-top/osqual" <<'END'
#!/bin/sh
# Drivers for the disks that are there: first the bus, then what is on it.
[ "$1" = prereqs ] && exit 0
modprobe -abq $(cat /sys/bus/pci/devices/*/modalias) sd_mod
[ ! -d /sys/bus/virtio/devices ] || modprobe -abq $(cat /sys/bus/virtio/devices/*/modalias)
END
cat > "$etc/scripts/init-bottom/udev" <<'END'
#!/bin/sh
[ "$1" = prereqs ] && exit 0
mount -n -o move /dev "$rootmnt/dev"
END
# Files of the same name replace those of the udev package.
printf '#!/bin/sh\nexit 0\n' > "$etc/hooks/udev"
cp "$etc/hooks/udev" "$etc/scripts/init-top/udev"
chmod 0755 "$etc"/hooks/* "$etc"/scripts/init-top/* "$etc"/scripts/init-bottom/*
