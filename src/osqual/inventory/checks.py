"""The hygiene of an image: what must not be in one that others use. Pure.

A check is a function from the image's and the base's inventory to findings, in the table below.
"""

import fnmatch
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from osqual.inventory.facts import File, Inventory, Listener
from osqual.results.node_checks import Consequence

SUITE = "image hygiene"
"""Under this name the findings stand among the suites; no product can have one called so."""
MOST_OF_A_CHECK = 20
"""So many findings of a check are told one by one."""

Check = Callable[[Inventory, Inventory | None], "Iterator[Finding]"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One fault. `subject` is what a policy can accept: a path, a user, a port."""

    check: str
    subject: str
    words: str

    @property
    def test_id(self) -> str:
        """Its name among the tests: a mute can name it."""
        return f"{self.check}[{self.subject}]"


def find_faults(
    image: Inventory,
    base: Inventory | None,
    policy: Mapping[str, Consequence],
    accepted: Mapping[str, Sequence[str]],
) -> list[Finding]:
    """Every fault that the policy does not switch off or accept by its subject (globs)."""
    found: list[Finding] = []
    for name, check in CHECKS.items():
        if policy[name] == "off":
            continue
        wanted = [
            finding
            for finding in check(image, base)
            if not any(fnmatch.fnmatchcase(finding.subject, p) for p in accepted.get(name, ()))
        ]
        found += wanted[:MOST_OF_A_CHECK]
        if rest := wanted[MOST_OF_A_CHECK:]:
            words = f"{len(rest)} more, the first of them {rest[0].subject}"
            found.append(Finding(check=name, subject="others", words=words))
    return found


def _authorized_keys(image: Inventory, base: Inventory | None) -> Iterator[Finding]:
    for key in image.authorized_keys:
        words = f"{key.path} lets in a {key.kind} {key.comment}".rstrip()
        yield Finding(check="authorized_keys", subject=key.path, words=words)


def _private_keys(image: Inventory, base: Inventory | None) -> Iterator[Finding]:
    for path in image.private_keys:
        yield Finding(check="private_keys", subject=path, words=f"{path} holds a private key")


def _password_hashes(image: Inventory, base: Inventory | None) -> Iterator[Finding]:
    for user, state in image.passwords.items():
        if state in ("set", "locked hash"):
            there = base is not None and base.passwords.get(user) == state
            words = (
                f"the user {user} has a password"
                if state == "set"
                else (f"the hash of a password of the user {user} is kept, though it is locked")
            )
            words += ", as in the base image" if there else ""
            yield Finding(check="password_hashes", subject=user, words=words)


def _default_credentials(image: Inventory, base: Inventory | None) -> Iterator[Finding]:
    for user, state in image.passwords.items():
        if state == "none":
            words = f"the user {user} needs no password"
            yield Finding(check="default_credentials", subject=user, words=words)
    for user in sorted(image.guessed):
        words = f"the password of the user {user} is a well-known one"
        yield Finding(check="default_credentials", subject=user, words=words)


def _host_keys(image: Inventory, base: Inventory | None) -> Iterator[Finding]:
    for file in _files(image, "/etc/ssh/ssh_host_*_key"):
        words = f"{file.path}: every machine of the image would show the same host key"
        yield Finding(check="host_keys", subject=file.path, words=words)


# 32 digits and a line's end; `uninitialized` is shorter, and an empty file is made anew at boot.
_MACHINE_ID_BYTES = 32


def _machine_id(image: Inventory, base: Inventory | None) -> Iterator[Finding]:
    for path in ("/etc/machine-id", "/var/lib/dbus/machine-id"):
        file = image.files.get(path)
        if file is not None and file.kind == "f" and file.size >= _MACHINE_ID_BYTES:
            words = f"{path}: every machine of the image would have the same id"
            yield Finding(check="machine_id", subject=path, words=words)


_HISTORIES = (".*_history", ".lesshst", ".viminfo")


def _shell_history(image: Inventory, base: Inventory | None) -> Iterator[Finding]:
    for file in _files(image, "/root/.*", "/home/*/.*"):
        name = file.path.rpartition("/")[2]
        if file.kind == "f" and file.size and any(fnmatch.fnmatchcase(name, p) for p in _HISTORIES):
            words = f"{file.path} tells what was done ({file.size} bytes)"
            yield Finding(check="shell_history", subject=file.path, words=words)


_CLOUD_INIT = ("instance", "instances", "data", "sem", "seed")


def _cloud_init_state(image: Inventory, base: Inventory | None) -> Iterator[Finding]:
    for name in _CLOUD_INIT:
        top = f"/var/lib/cloud/{name}"
        below = [file for file in _files(image, f"{top}/*") if file.kind != "d"]
        link = image.files.get(top)
        if below or (link is not None and link.kind == "l"):
            words = f"{top}: cloud-init remembers the machine that the image was made on"
            yield Finding(check="cloud_init_state", subject=top, words=words)


_CACHES = (
    "/var/cache/apt", "/var/lib/apt/lists", "/var/cache/dnf", "/var/cache/yum",
    "/var/cache/zypp", "/root/.cache/pip",
)  # fmt: skip
_NO_CACHE_FILES = ("/lock", "/partial", ".cachedir", "/CACHEDIR.TAG")


def _package_caches(image: Inventory, base: Inventory | None) -> Iterator[Finding]:
    for top in _CACHES:
        held = [
            file.size
            for file in _files(image, f"{top}/*")
            if file.kind == "f" and file.size and not file.path.endswith(_NO_CACHE_FILES)
        ]
        if held:
            words = f"{top} holds {len(held)} files, {sum(held) // 1024} KB"
            yield Finding(check="package_caches", subject=top, words=words)


_STICKY = 0o1000
_FOR_ALL = 0o002
# Made anew at each boot, or not on the disk at all.
_NOT_OF_THE_IMAGE = ("/proc/", "/sys/", "/dev/", "/run/", "/tmp/", "/var/tmp/")  # noqa: S108


def _world_writable(image: Inventory, base: Inventory | None) -> Iterator[Finding]:
    for file in image.files.values():
        if file.kind not in "fd" or not file.mode & _FOR_ALL:
            continue
        if file.kind == "d" and file.mode & _STICKY:
            continue
        if not file.path.startswith(_NOT_OF_THE_IMAGE):
            words = f"{file.path} can be written to by everybody ({file.mode:04o})"
            yield Finding(check="world_writable", subject=file.path, words=words)


def _new_listeners(image: Inventory, base: Inventory | None) -> Iterator[Finding]:
    known = set() if base is None else {name_of(one, base) for one in base.listeners}
    named = {name_of(one, image): one for one in image.listeners if not one.local}
    for name, one in sorted(named.items()):
        if name not in known and not (one.protocol == "udp" and is_ephemeral(one, image)):
            words = f"{one.program or 'the kernel'} listens on {name}, unlike in the base image"
            yield Finding(check="new_listeners", subject=name, words=words)


def is_ephemeral(listener: Listener, inventory: Inventory) -> bool:
    """Whether its port is one of those that the system gives to whoever does not care."""
    first, last = inventory.ephemeral
    return first <= listener.port <= last


def name_of(listener: Listener, inventory: Inventory) -> str:
    """What is the same in every boot; the program counts only where the port does not."""
    where = f"{listener.protocol} {listener.address}"
    if is_ephemeral(listener, inventory):
        return f"{where} (any port, {listener.program or 'kernel'})"
    return f"{where} {listener.port}"


def _pending_reboot(image: Inventory, base: Inventory | None) -> Iterator[Finding]:
    for reason in image.reboot:
        words = f"a reboot is wanted: {reason or 'reboot-required is there'}"
        yield Finding(check="pending_reboot", subject="reboot-required", words=words)
    if image.newest_kernel and image.running_kernel != image.newest_kernel:
        words = (
            f"built under the kernel {image.running_kernel}, but {image.newest_kernel} will boot"
        )
        yield Finding(check="pending_reboot", subject="kernel", words=words)


def _secrets(image: Inventory, base: Inventory | None) -> Iterator[Finding]:
    for path, how in image.secrets.items():
        yield Finding(check="secrets", subject=path, words=f"{path} holds a secret ({how})")


def _odd_names(image: Inventory, base: Inventory | None) -> Iterator[Finding]:
    if image.odd_names:
        words = f"{image.odd_names} files have control characters in their names"
        yield Finding(check="odd_names", subject="names", words=words)


def _files(inventory: Inventory, *patterns: str) -> Iterator[File]:
    for path, file in inventory.files.items():
        if any(fnmatch.fnmatchcase(path, pattern) for pattern in patterns):
            yield file


CHECKS: Mapping[str, Check] = {
    "authorized_keys": _authorized_keys,
    "private_keys": _private_keys,
    "password_hashes": _password_hashes,
    "default_credentials": _default_credentials,
    "host_keys": _host_keys,
    "machine_id": _machine_id,
    "shell_history": _shell_history,
    "cloud_init_state": _cloud_init_state,
    "secrets": _secrets,
    "world_writable": _world_writable,
    "new_listeners": _new_listeners,
    "package_caches": _package_caches,
    "pending_reboot": _pending_reboot,
    "odd_names": _odd_names,
}

# What only wastes space, or is what an image may be made for, is told and decides nothing.
DEFAULT_POLICY: Mapping[str, Consequence] = MappingProxyType(
    {
        **dict[str, Consequence].fromkeys(CHECKS, "fail"),
        "new_listeners": "warn",
        "package_caches": "warn",
        "pending_reboot": "warn",
        "odd_names": "warn",
    }
)
