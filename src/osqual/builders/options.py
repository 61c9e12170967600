"""The options of Packer's `qemu` builder: what the layered builder makes of each.

An option is supported (a field of QemuOptions), ignored for a reason, refused with a reason that
points at stock Packer, or unknown. docs/reference/qemu-template.md is checked against this.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
)

from osqual.errors import Key, Problem, Unusable
from osqual.formats.spelling import did_you_mean

USE_PACKER = "build this template with --builder packer"

_DURATION_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)")
_SIZE = re.compile(r"(\d+)([bkmgt]?)", re.IGNORECASE)
_SIZE_UNITS = {"b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40, "": 1 << 20}


def parse_duration(value: Any) -> float:
    """Seconds of a duration in Go's notation (`90s`, `1h30m`), which Packer uses."""
    if not isinstance(value, str):
        raise ValueError('must be a string with a unit, such as "90s" or "1h30m"')
    if value == "0":
        return 0.0
    if not value or _DURATION_PART.sub("", value):
        raise ValueError(f'{value!r} is not a duration such as "90s" or "1h30m"')
    return sum(float(n) * _DURATION_UNITS[unit] for n, unit in _DURATION_PART.findall(value))


def parse_size(value: Any) -> int:
    """Bytes of a disk size in Packer's notation: a number is megabytes, or has a unit."""
    match = _SIZE.fullmatch(str(value))
    if match is None:
        raise ValueError(f'{value!r} is not a disk size such as "10G" or 10240 (megabytes)')
    return int(match[1]) * _SIZE_UNITS[match[2].lower()]


Duration = Annotated[float, BeforeValidator(parse_duration)]
DiskSize = Annotated[int, BeforeValidator(parse_size)]

# Arguments of qemu that the builder sets itself, and why one in `qemuargs` cannot be honoured.
_OWNED_ARGUMENTS: Mapping[str, str] = {
    "-drive": "the disk is the builder's, layer upon layer",
    "-blockdev": "the disk is the builder's, layer upon layer",
    "-hda": "the disk is the builder's, layer upon layer",
    "-hdb": "the disk is the builder's, layer upon layer",
    "-cdrom": "the drive is used for the first-boot seed",
    "-netdev": "the network and its port for ssh are the builder's",
    "-nic": "the network and its port for ssh are the builder's",
    "-net": "the network and its port for ssh are the builder's",
    "-machine": "set machine_type and accelerator instead",
    "-M": "set machine_type instead",
    "-accel": "set accelerator instead",
    "-enable-kvm": "set accelerator instead",
    "-incoming": "layers are restored through it",
    "-daemonize": "the builder has to see the machine end",
    "-pidfile": "the builder has to see the machine end",
    "-snapshot": "the disk would be thrown away",
    "-loadvm": "layers take this place",
    "-kernel": "the image boots by its own boot loader",
    "-initrd": "the image boots by its own boot loader",
    "-append": "the image boots by its own boot loader",
    "-S": "the machine would not start",
}
# Arguments that are left out: the machine has no screen, its console is kept in a file, and it is
# controlled over a QMP connection of the builder's.
_POINTLESS_ARGUMENTS = (
    "-display", "-vnc", "-nographic", "-name", "-boot", "-k",
    "-serial", "-monitor", "-mon", "-qmp", "-chardev",
)  # fmt: skip


class QemuOptions(BaseModel):
    """The supported options, with Packer's names, meanings and defaults."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: Literal["qemu"] = "qemu"
    name: str = ""
    disk_image: bool = True
    disk_size: DiskSize = Field(default=40960 << 20, gt=0)
    skip_resize_disk: bool = False
    disk_interface: Literal["virtio"] = "virtio"
    memory: int = Field(default=512, ge=64)
    cpus: int = Field(default=1, ge=1, le=255)
    net_device: Literal["virtio-net", "virtio-net-pci", "virtio"] = "virtio-net"
    machine_type: Literal["pc", "q35"] = "pc"
    accelerator: Literal["", "none", "kvm", "tcg"] = ""
    qemuargs: tuple[tuple[str, ...], ...] = ()
    communicator: Literal["ssh"] = "ssh"
    ssh_username: str = Field(pattern=r"^[a-z_][a-z0-9_.-]*\$?$")
    ssh_timeout: Duration = Field(default=300.0, gt=0)
    ssh_wait_timeout: Duration | None = None
    pause_before_connecting: Duration = 0.0
    shutdown_command: str = ""
    shutdown_timeout: Duration = Field(default=300.0, gt=0)

    @field_validator("memory", "cpus", "disk_size", mode="before")
    @classmethod
    def _zero_is_default(cls, value: Any, info: Any) -> Any:
        if value in (0, "0", ""):
            return cls.model_fields[info.field_name].default
        return value

    @field_validator("qemuargs")
    @classmethod
    def _only_free_arguments(cls, value: tuple[tuple[str, ...], ...]) -> Any:
        for words in value:
            switch = _switch(words)
            reason = _OWNED_ARGUMENTS.get(switch)
            if switch == "-device" and re.search(r"\b(netdev|drive)=", "".join(words[1:])):
                reason = "disk and network are the builder's; set disk_interface or net_device"
            if reason:
                raise ValueError(f"{switch} cannot be set here: {reason}; or {USE_PACKER}")
        return value

    @property
    def build_name(self) -> str:
        """The name by which `only`, `except` and `override` know this builder."""
        return self.name or self.type

    @property
    def ssh_timeout_s(self) -> float:
        """How long the machine may take until it answers ssh."""
        return self.ssh_wait_timeout or self.ssh_timeout

    @property
    def extra_arguments(self) -> tuple[str, ...]:
        """`qemuargs` as arguments: what follows a switch is joined, as Packer does."""
        arguments: list[str] = []
        for words in self.qemuargs:
            value = "".join(words[1:])
            if words and _switch(words) not in _POINTLESS_ARGUMENTS:
                arguments += [_switch(words), value] if value else [_switch(words)]
        return tuple(arguments)


def _switch(words: tuple[str, ...]) -> str:
    """The switch with one dash: qemu takes one or two."""
    return "-" + words[0].lstrip("-") if words else ""


_BASE = "the base image comes from base_images.json"
_SCREEN = "the machine has no screen; its console is in the run directory"
_RESULT = "the finished image is always a compressed qcow2 in the data directory"
_CACHE = "the disk of a build is thrown away if the host fails, so it is never waited for"
_PORT = "the port is reserved by the builder"
_SSH = "the connection is OpenSSH's, with the build's own key"
_QMP = "the builder has its own QMP connection"

IGNORED: Mapping[str, str] = {
    **dict.fromkeys(
        (
            "iso_url", "iso_urls", "iso_checksum", "iso_checksum_type", "iso_checksum_url",
            "iso_target_path", "iso_target_extension", "iso_skip_cache", "use_backing_file",
            "cdrom_interface",
        ),
        _BASE,
    ),
    **dict.fromkeys(
        (
            "headless", "display", "use_default_display", "disable_vnc", "vnc_bind_address",
            "vnc_use_password", "vnc_password", "vnc_port_min", "vnc_port_max",
        ),
        _SCREEN,
    ),
    **dict.fromkeys(
        ("format", "disk_compression", "skip_compaction", "output_directory", "vm_name"), _RESULT
    ),
    **dict.fromkeys(("disk_cache", "disk_discard", "disk_detect_zeroes"), _CACHE),
    **dict.fromkeys(
        ("host_port_min", "host_port_max", "ssh_host_port_min", "ssh_host_port_max"), _PORT
    ),
    **dict.fromkeys(("http_port_min", "http_port_max", "http_bind_address"), "nothing is served"),
    **dict.fromkeys(
        (
            "ssh_handshake_attempts", "ssh_keep_alive_interval", "ssh_file_transfer_method",
            "ssh_disable_agent_forwarding", "ssh_clear_authorized_keys", "ssh_agent_auth",
            "ssh_ciphers", "ssh_key_exchange_algorithms", "ssh_read_write_timeout",
            "temporary_key_pair_name", "temporary_key_pair_type", "temporary_key_pair_bits",
        ),
        _SSH,
    ),
    **dict.fromkeys(("qmp_enable", "qmp_socket_path"), _QMP),
    "boot_wait": "there is no boot command to wait for; ssh is tried at once",
    "boot_key_interval": "there is no boot command",
    "boot_keygroup_interval": "there is no boot command",
    "qemu_binary": "qemu-system-x86_64 from PATH is used",
}  # fmt: skip

_TYPED = "typing into the machine's screen is Packer's work"
_MEDIA = "extra media are Packer's work"
_LOGIN = "the layered builder logs in with its own key, through the first-boot seed"
_NETWORK = "the layered builder reaches the machine through a forwarded local port only"
_WINDOWS = "only machines with ssh can be built in layers"
_FIRMWARE = "the layered builder starts machines with their BIOS only"

REFUSED: Mapping[str, str] = {
    **dict.fromkeys(("boot_command", "boot_steps"), _TYPED),
    **dict.fromkeys(("http_directory", "http_content", "http_interface"), _MEDIA),
    **dict.fromkeys(("floppy_files", "floppy_dirs", "floppy_content", "floppy_label"), _MEDIA),
    **dict.fromkeys(("cd_files", "cd_content", "cd_label", "disk_additional_size"), _MEDIA),
    **dict.fromkeys(
        (
            "ssh_password", "ssh_private_key_file", "ssh_certificate_file", "ssh_keypair_name",
            "ssh_pty",
        ),
        _LOGIN,
    ),
    **dict.fromkeys(
        (
            "ssh_host", "ssh_port", "skip_nat_mapping", "net_bridge", "ssh_bastion_host",
            "ssh_bastion_port", "ssh_bastion_agent_auth", "ssh_bastion_username",
            "ssh_bastion_password", "ssh_bastion_interactive", "ssh_bastion_private_key_file",
            "ssh_bastion_certificate_file", "ssh_proxy_host", "ssh_proxy_port",
            "ssh_proxy_username", "ssh_proxy_password", "ssh_remote_tunnels",
            "ssh_local_tunnels",
        ),
        _NETWORK,
    ),
    **dict.fromkeys(
        (
            "winrm_username", "winrm_password", "winrm_host", "winrm_no_proxy", "winrm_port",
            "winrm_timeout", "winrm_use_ssl", "winrm_insecure", "winrm_use_ntlm",
        ),
        _WINDOWS,
    ),
    **dict.fromkeys(
        (
            "firmware", "use_pflash", "efi_boot", "efi_firmware_code", "efi_firmware_vars",
            "efi_drop_efivars", "vtpm", "use_tpm1", "tpm_device_type",
        ),
        _FIRMWARE,
    ),
    **dict.fromkeys(("cpu_model", "sockets", "cores", "threads"), "set it through qemuargs"),
    "qemu_img_args": "images are made with fixed arguments",
    "run_once": "Packer gave this option up",
}  # fmt: skip

# Values of refused options that ask for nothing.
_NOTHING: tuple[Any, ...] = (None, "", [], {}, False, 0)


BUILDER: Key = ("builders", 0)


def read_options(builder: Mapping[str, Any], source: str) -> QemuOptions:
    """The supported options of an interpolated builder; Unusable has every problem."""
    problems = [*_refusals(builder), *_unknown(builder)]
    supported = {key: value for key, value in builder.items() if key in QemuOptions.model_fields}
    options = None
    try:
        options = QemuOptions(**supported)
    except ValidationError as error:
        problems += [_problem(item) for item in error.errors()]
    if options is not None and not options.disk_image:
        words = "an installation from an ISO is Packer's work"
        problems.append(Problem((*BUILDER, "disk_image"), words))
    if problems or options is None:
        raise Unusable(
            f"{source}: the layered builder cannot use this builder's options.",
            problems,
            resolution=f"correct or remove them, or {USE_PACKER}",
        )
    return options


def known_options() -> frozenset[str]:
    """Every option of Packer's qemu builder that is known here."""
    return frozenset(QemuOptions.model_fields) | IGNORED.keys() | REFUSED.keys()


def _refusals(builder: Mapping[str, Any]) -> list[Problem]:
    problems = []
    for key in builder:
        harmless = builder[key] in _NOTHING or (key == "ssh_port" and builder[key] in (22, "22"))
        if key in REFUSED and not harmless:
            problems.append(Problem((*BUILDER, key), REFUSED[key]))
    return problems


def _unknown(builder: Mapping[str, Any]) -> list[Problem]:
    known = known_options()
    return [
        Problem((*BUILDER, key), f"unknown option{did_you_mean(key, known)}")
        for key in builder
        if key not in known
    ]


def _problem(item: Any) -> Problem:
    path = (part for part in item["loc"] if not str(part).startswith("function-"))
    return Problem((*BUILDER, *path), item["msg"].removeprefix("Value error, "))
