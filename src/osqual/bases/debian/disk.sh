# Runs outside the new system, as root of its user namespace: turns it into a disk image that boots
# by its own boot loader. $1: root of the new system, $2: size of the disk in MiB.
# Only programs of the new system are used, so that its own versions decide about the formats.
set -eu
root=$1
work=$root/tmp/osqual
disk=/tmp/osqual/disk.raw
uuid=$(cat /proc/sys/kernel/random/uuid)
bios_start=2048
root_start=4096

mkdir -p "$work/root"
cp "$root"/boot/vmlinuz-* "$work/kernel"
cp "$root"/boot/initrd.img-* "$work/initrd"

# No check at boot: the journal is enough for machines that live for minutes.
printf 'UUID=%s / ext4 errors=remount-ro 0 0\n' "$uuid" > "$root/etc/fstab"
mkdir -p "$root/boot/grub/i386-pc"
cp "$root"/usr/lib/grub/i386-pc/*.mod "$root"/usr/lib/grub/i386-pc/*.lst "$root/boot/grub/i386-pc/"
cat > "$root/boot/grub/grub.cfg" <<END
# The first one; update-grub writes its own over it. The links follow the newest kernel.
serial --speed=115200
terminal_input serial console
terminal_output serial console
set timeout=0
menuentry Debian {
    linux /vmlinuz root=UUID=$uuid ro console=ttyS0,115200
    initrd /initrd.img
}
END

# A bind mount that is not recursive keeps /proc, /sys and /dev out; an empty /tmp keeps us out.
mount --bind "$root" "$work/root"
mount -t tmpfs -o mode=1777 tmpfs "$work/root/tmp"

truncate -s "$2M" "$root$disk"
chroot "$root" sfdisk --quiet "$disk" <<END
label: gpt
14 : start=$bios_start, size=2048, type=21686148-6449-6E6F-744E-656564454649
1 : start=$root_start, type=4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709
END
# 33 sectors at the end hold the second partition table; whole MiB are easier to think about.
chroot "$root" mke2fs -q -F -t ext4 -U "$uuid" -L root -d /tmp/osqual/root \
    -E "offset=$((root_start * 512))" "$disk" "$(($2 - 3))M"
umount "$work/root/tmp" "$work/root"

# GRUB on a BIOS: the first sector names the sector of the core image, whose own first sector
# names the sector where the rest of it goes on (both little-endian numbers of 8 bytes).
chroot "$root" grub-mkimage -O i386-pc -o /tmp/osqual/core.img -p '(,gpt1)/boot/grub' \
    biosdisk part_gpt ext2 normal linux serial terminal echo
cp "$root/usr/lib/grub/i386-pc/boot.img" "$work/boot.img"
printf '\000\010\000\000\000\000\000\000' |
    dd of="$work/boot.img" bs=1 seek=92 conv=notrunc status=none
printf '\001\010\000\000\000\000\000\000' |
    dd of="$work/core.img" bs=1 seek=500 conv=notrunc status=none
dd if="$work/boot.img" of="$root$disk" bs=1 count=440 conv=notrunc status=none
dd if="$work/core.img" of="$root$disk" bs=512 seek=$bios_start conv=notrunc status=none

qemu-img convert -f raw -O qcow2 -c -o compression_type=zstd "$root$disk" "$work/disk.qcow2"
