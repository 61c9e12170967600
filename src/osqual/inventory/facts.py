"""Facts about an image, as `collect.sh` prints them. What was cut short is not believed."""

import ipaddress
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from osqual.errors import InfrastructureError

VERSION = "1"


@dataclass(frozen=True, kw_only=True)
class Package:
    """One package of the image's own database; `kind` is that of the database."""

    kind: str
    name: str
    version: str
    architecture: str
    source: str = ""
    """Debian's source package; the file name of the source rpm."""
    source_version: str = ""


@dataclass(frozen=True, kw_only=True)
class File:
    """One file, directory or link."""

    path: str
    kind: str
    """As `find` has it: f, d, l, …"""
    mode: int
    owner: int
    group: int
    size: int
    modified: int
    package: str
    """The package that it belongs to; empty for none."""
    target: str = ""
    """Of a link."""
    sha256: str = ""
    """Of small files that no package accounts for."""


@dataclass(frozen=True, kw_only=True, order=True)
class Listener:
    """A socket that waits for others, and the program that has it."""

    protocol: str
    address: str
    port: int
    program: str

    @property
    def local(self) -> bool:
        """Whether only the machine itself reaches it."""
        return self.address.startswith("127.") or self.address == "::1"


@dataclass(frozen=True, kw_only=True)
class AuthorizedKey:
    """A key that lets somebody in."""

    path: str
    kind: str
    comment: str


@dataclass(kw_only=True)
class Inventory:
    """Everything that was found. Mappings are by name or path."""

    os_id: str = ""
    os_version: str = ""
    os_name: str = ""
    architecture: str = ""
    packages: list[Package] = field(default_factory=list)
    files: dict[str, File] = field(default_factory=dict)
    users: dict[str, str] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)
    passwords: dict[str, str] = field(default_factory=dict)
    """User to `set`, `none`, `locked` or `locked hash`."""
    guessed: set[str] = field(default_factory=set)
    """Users whose password is a well-known one."""
    arguments: list[str] = field(default_factory=list)
    """Of the kernel, as the boot loader has them."""
    authorized_keys: list[AuthorizedKey] = field(default_factory=list)
    private_keys: list[str] = field(default_factory=list)
    secrets: dict[str, str] = field(default_factory=dict)
    """File to how it was recognised that a secret is in it."""
    listeners: set[Listener] = field(default_factory=set)
    ephemeral: tuple[int, int] = (32768, 60999)
    """From which ports the system takes one for whoever does not care."""
    running_kernel: str = ""
    newest_kernel: str = ""
    reboot: list[str] = field(default_factory=list)
    """Why a reboot is wanted: packages, or the program that says so."""
    odd_names: int = 0
    """Files whose names have control characters."""

    @property
    def units(self) -> dict[str, str]:
        """systemd's units to their state, as the files have it: asking systemd takes far longer."""
        return dict(_units(self.files.values()))


_Reader = Callable[[Inventory, list[str]], None]


def parse(text: str) -> Inventory:
    """What one or more whole outputs of the script say. Raises InfrastructureError for less."""
    found, ended = Inventory(), set[str]()
    digests: dict[str, str] = {}
    for line in text.splitlines():
        kind, *fields = line.split("\t")
        if kind == "end":
            ended.update(fields)
        elif kind == "osqual-inventory" and fields[:1] != [VERSION]:
            raise _unusable(f"its version is {fields[:1]}")
        elif kind == "sha256":
            digests[fields[1]] = fields[0]
        elif kind in _READERS:
            try:
                _READERS[kind](found, fields)
            except (ValueError, IndexError) as error:
                raise _unusable(f"{line!r}: {error}") from error
    if "disk" not in ended:
        raise _unusable("it was cut short")
    for path, digest in digests.items():
        if path in found.files:
            found.files[path] = replace(found.files[path], sha256=digest)
    return found


_UNITS = re.compile(
    r"^/(?P<place>etc|usr/lib|lib|usr/local/lib)/systemd/system/"
    r"(?:[^/]+\.(?P<how>wants|requires|upholds)/)?"
    r"(?P<name>[^/]+\.(?:service|socket|timer|path|mount|automount|swap|target|slice))$"
)


def _units(files: Iterable[File]) -> Iterator[tuple[str, str]]:
    """Each with the strongest that is said of it, which comes last."""
    found = [(match, file) for file in files if (match := _UNITS.match(file.path))]
    for match, _ in found:
        yield match["name"], "not enabled"
    for match, _ in found:
        if match["how"] and match["place"] == "etc":
            yield match["name"], "enabled"
    for match, file in found:
        if not match["how"] and file.target == "/dev/null":
            yield match["name"], "masked"


def whole(text: str, *parts: str) -> bool:
    """Whether each part came to its end."""
    return all(f"\nend\t{part}\n" in text for part in parts)


def _unusable(why: str) -> InfrastructureError:
    return InfrastructureError(
        "The inventory of the image cannot be read.",
        details=why,
        resolution="look at the machine's console: it may have run out of memory or disk",
    )


def _os(found: Inventory, fields: list[str]) -> None:
    found.os_id, found.os_version, found.os_name = fields[:3]


def _package(found: Inventory, fields: list[str]) -> None:
    kind, name, version, architecture, source, source_version, *_ = fields
    found.packages.append(
        Package(
            kind=kind,
            name=name,
            version=version,
            architecture=architecture,
            source=source,
            source_version=source_version,
        )
    )


def _file(found: Inventory, fields: list[str]) -> None:
    kind, mode, owner, group, size, modified, package, target, path = fields
    found.files[path] = File(
        path=path,
        kind=kind,
        mode=int(mode, 8),
        owner=int(owner),
        group=int(group),
        size=int(size),
        modified=int(modified),
        package=package,
        target=target,
    )


def _listener(found: Inventory, fields: list[str]) -> None:
    protocol, place, program = fields
    address, _, port = place.partition(":")
    found.listeners.add(
        Listener(
            protocol=protocol[:3],
            address=_address(address),
            port=int(port, 16),
            program=program,
        )
    )


def _address(text: str) -> str:
    """From the kernel's way to write it: words of 32 bits in the byte order of the machine."""
    raw = b"".join(bytes.fromhex(text[at : at + 8])[::-1] for at in range(0, len(text), 8))
    address = ipaddress.ip_address(raw)
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)


def _by_name(name: str) -> _Reader:
    def read(found: Inventory, fields: list[str]) -> None:
        getattr(found, name)[fields[0]] = " ".join(fields[1:])

    return read


def _in_list(name: str) -> _Reader:
    return lambda found, fields: getattr(found, name).append(" ".join(fields).strip())


def _key(found: Inventory, fields: list[str]) -> None:
    path, kind, comment = fields
    found.authorized_keys.append(AuthorizedKey(path=path, kind=kind, comment=comment))


def _kernel(found: Inventory, fields: list[str]) -> None:
    found.running_kernel, found.newest_kernel = fields


def _ephemeral(found: Inventory, fields: list[str]) -> None:
    found.ephemeral = (int(fields[0]), int(fields[1]))


def _odd(found: Inventory, fields: list[str]) -> None:
    found.odd_names = int(fields[0])


def _architecture(found: Inventory, fields: list[str]) -> None:
    found.architecture = fields[0]


def _guessed(found: Inventory, fields: list[str]) -> None:
    found.guessed.add(fields[0])


_READERS: Mapping[str, _Reader] = {
    "os": _os,
    "architecture": _architecture,
    "package": _package,
    "file": _file,
    "odd": _odd,
    "user": _by_name("users"),
    "group": _by_name("groups"),
    "password": _by_name("passwords"),
    "guessed": _guessed,
    "argument": _in_list("arguments"),
    "authorized_key": _key,
    "private_key": _in_list("private_keys"),
    "secret": _by_name("secrets"),
    "listener": _listener,
    "ephemeral": _ephemeral,
    "kernel": _kernel,
    "reboot": _in_list("reboot"),
}
