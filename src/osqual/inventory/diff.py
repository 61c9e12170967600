"""What an image holds that its base does not, and the other way round. Pure.

What varies from boot to boot, and what package managers keep for themselves, is left out.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from osqual.inventory.checks import name_of
from osqual.inventory.facts import File, Inventory, Package

_VOLATILE = (
    "/proc", "/sys", "/dev", "/run", "/tmp", "/var/tmp", "/var/log", "/var/cache",  # noqa: S108
    "/var/lib/apt",
    "/var/lib/dpkg", "/var/lib/rpm", "/usr/lib/sysimage/rpm", "/var/lib/systemd",
    "/var/lib/cloud", "/var/lib/dhcp", "/var/lib/NetworkManager", "/var/lib/osqual",
    "/etc/machine-id", "/var/lib/dbus/machine-id", "/etc/hostname", "/etc/hosts",
    "/etc/resolv.conf", "/etc/ld.so.cache", "/lost+found",
)  # fmt: skip
_VOLATILE_BEGINNINGS = ("/etc/ssh/ssh_host_",)


@dataclass(frozen=True, kw_only=True)
class Change:
    """One thing that differs; `before` and `after` are empty where it is not there."""

    name: str
    before: str
    after: str

    def __str__(self) -> str:
        if not self.before:
            return f"+ {self.name}  {self.after}".rstrip()
        if not self.after:
            return f"- {self.name}  {self.before}".rstrip()
        return f"~ {self.name}  {self.before} -> {self.after}"


@dataclass(frozen=True, kw_only=True)
class ImageDiff:
    """Everything that differs, by kind."""

    changes: Mapping[str, tuple[Change, ...]]
    packaged_files: int
    """Files of packages that came, went or changed, which are not listed."""

    def document(self) -> dict[str, Any]:
        """As JSON."""
        kinds = {kind: [vars(one) for one in many] for kind, many in self.changes.items()}
        return {"schema": "osqual/image-diff/v1", **kinds, "packaged_files": self.packaged_files}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> "ImageDiff":
        """What `document` wrote. Raises KeyError or TypeError for anything else."""
        return cls(
            changes={kind: tuple(Change(**one) for one in document[kind]) for kind in KINDS},
            packaged_files=document["packaged_files"],
        )


KINDS = ("packages", "files", "units", "kernel arguments", "users", "groups", "ports")


def counted(kind: str, number: int) -> str:
    """`1 package`, `2 packages`."""
    return f"{number} {kind.removesuffix('s') if number == 1 else kind}"


def diff_images(base: Inventory, image: Inventory) -> ImageDiff:
    """What became of the base."""
    packages = tuple(_compared(_versions(base), _versions(image)))
    moved = {change.name.partition(":")[0] for change in packages}
    files, packaged = _files(base, image, moved)
    return ImageDiff(
        changes={
            "packages": packages,
            "files": files,
            "units": tuple(_compared(base.units, image.units)),
            "kernel arguments": tuple(_compared(_arguments(base), _arguments(image))),
            "users": tuple(_compared(_users(base), _users(image))),
            "groups": tuple(_compared(base.groups, image.groups)),
            "ports": tuple(_compared(_ports(base), _ports(image))),
        },
        packaged_files=packaged,
    )


def _compared(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[Change]:
    for name in sorted({*before, *after}):
        if before.get(name) != after.get(name):
            yield Change(name=name, before=before.get(name, ""), after=after.get(name, ""))


def _versions(inventory: Inventory) -> dict[str, str]:
    """Several versions of one package, as of kernels, are one value."""
    found: dict[str, list[str]] = {}
    for package in inventory.packages:
        found.setdefault(_name(package), []).append(package.version)
    return {name: ", ".join(sorted(versions)) for name, versions in found.items()}


def _name(package: Package) -> str:
    return f"{package.name}:{package.architecture}"


def _arguments(inventory: Inventory) -> dict[str, str]:
    return dict.fromkeys(inventory.arguments, "set")


def _users(inventory: Inventory) -> dict[str, str]:
    return {
        name: f"{what}, password {inventory.passwords.get(name, 'unknown')}"
        for name, what in inventory.users.items()
    }


def _ports(inventory: Inventory) -> dict[str, str]:
    found: dict[str, set[str]] = {}
    for one in inventory.listeners:
        found.setdefault(name_of(one, inventory), set()).add(one.program or "kernel")
    return {name: ", ".join(sorted(programs)) for name, programs in found.items()}


def _files(base: Inventory, image: Inventory, moved: set[str]) -> tuple[tuple[Change, ...], int]:
    """What differs and no change of a package explains; and how many it does explain."""
    changes, packaged = [], 0
    for path in sorted({*base.files, *image.files}):
        before, after = base.files.get(path), image.files.get(path)
        if _is_volatile(path) or _same(before, after):
            continue
        owners = {file.package for file in (before, after) if file is not None} - {""}
        if owners and owners <= moved:
            packaged += 1
        else:
            changes.append(Change(name=path, before=_words(before), after=_words(after)))
    return tuple(changes), packaged


def _is_volatile(path: str) -> bool:
    return (
        path.startswith(_VOLATILE_BEGINNINGS)
        or "/__pycache__" in path
        or any(path == top or path.startswith(f"{top}/") for top in _VOLATILE)
    )


def _same(before: File | None, after: File | None) -> bool:
    if before is None or after is None or _rights(before) != _rights(after):
        return False
    if before.kind == "l":
        return before.target == after.target
    if before.kind != "f" or before.size == after.size == 0:
        return True
    if before.sha256 and after.sha256:
        return before.sha256 == after.sha256
    return (before.size, before.modified) == (after.size, after.modified)


def _rights(file: File) -> tuple[str, int, int, int]:
    return file.kind, file.mode, file.owner, file.group


def _words(file: File | None) -> str:
    if file is None:
        return ""
    words = f"{file.kind} {file.mode:04o} {file.owner}:{file.group}"
    if file.kind == "l":
        return f"l -> {file.target}"
    content = f" {file.sha256[:12]}" if file.sha256 else ""
    return f"{words} {file.size} bytes{content}" if file.kind == "f" else words
