"""Which packages our own Debian bases hold, and why."""

from osqual.bases.reference import SeedKind

# What makes a machine that can be reached over ssh and administered; nothing is recommended in.
_ALWAYS = (
    "linux-image-cloud-amd64",  # all of virtio, overlayfs, netfilter; a fifth of the other's size
    "initramfs-tools",  # what our configuration of the initrd is written for
    "grub-pc",
    "systemd-sysv",
    "udev",
    "kmod",
    "dbus",
    "openssh-server",
    "sudo",
    "ca-certificates",
    "e2fsprogs",
    "fdisk",
    "hostname",
    "iproute2",
    "iputils-ping",
    "netbase",
    "procps",
    "zstd",
)


def packages(seed: SeedKind) -> tuple[str, ...]:
    """The packages of a base, on top of Debian's required ones."""
    cloud_init = ("cloud-init",) if seed == "cloud-init" else ()
    return (*_ALWAYS, *cloud_init)
