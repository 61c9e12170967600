# Runs outside the new system, before the packages that read these files are installed.
# $1: root of the new system.
set -eu
cd "$1"

# A small initrd starts sooner, above all without hardware acceleration: only what a QEMU machine
# can have its root disk on.
mkdir -p etc/initramfs-tools/conf.d etc/initramfs-tools/hooks
printf 'MODULES=list\n' > etc/initramfs-tools/conf.d/osqual
cat > etc/initramfs-tools/hooks/osqual <<'END'
#!/bin/sh
[ "$1" = prereqs ] && exit 0
. /usr/share/initramfs-tools/hook-functions
manual_add_modules virtio_pci virtio_blk virtio_scsi sd_mod ata_piix ahci nvme ext4
END
chmod 0755 etc/initramfs-tools/hooks/osqual
