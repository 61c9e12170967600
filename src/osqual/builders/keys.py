"""Identity of layers and images: digests of deliberately listed inputs.

A chain of content keys says what a machine's disk holds after each provisioner; a layer's key adds
what its saved state depends on besides (memory layout, the build's identity).
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from osqual.builders.options import QemuOptions
from osqual.builders.provisioners import Provisioner, ShellProvisioner
from osqual.errors import InvalidInput

# Raised when the way of building changes what comes out of the same inputs.
CHAIN_VERSION = 1
LAYER_VERSION = 1

# Options that reach what is inside the machine. The others only say how long to wait.
_CONTENT_OPTIONS = (
    "disk_size", "skip_resize_disk", "disk_interface", "memory", "cpus", "net_device",
    "machine_type", "qemuargs", "ssh_username", "name",
)  # fmt: skip

CHUNK = 1 << 20


def digest_of(value: Mapping[str, Any]) -> str:
    """sha256 (hex) of a JSON value in its canonical form."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def root_key(base_digest: str, options: QemuOptions) -> str:
    """The content key of the booted base, before any provisioner."""
    chosen = options.model_dump(include=set(_CONTENT_OPTIONS), mode="json")
    return digest_of({"version": CHAIN_VERSION, "base": base_digest, "options": chosen})


def content_keys(
    root: str, provisioners: Sequence[Provisioner], find_file: Callable[[str], Path]
) -> tuple[str, ...]:
    """The content key after each provisioner, the root's first."""
    keys = [root]
    for provisioner in provisioners:
        inputs = {
            "parent": keys[-1],
            "provisioner": provisioner.model_dump(mode="json"),
            "files": digest_files(provisioner, find_file),
        }
        keys.append(digest_of(inputs))
    return tuple(keys)


def image_key(content: str, *, builder: str, cleaning: str, shutdown_command: str) -> str:
    """The key of the finished image: what the machine held, and how it was finished."""
    return digest_of(
        {
            "content": content,
            "builder": builder,
            "cleaning": cleaning,
            "shutdown_command": shutdown_command,
        }
    )


def layer_key(content: str, flavour: Mapping[str, Any]) -> str:
    """The key of a stored layer; `flavour` is what its saved state depends on besides content."""
    return digest_of({"version": LAYER_VERSION, "content": content, "flavour": dict(flavour)})


def digest_files(provisioner: Provisioner, find_file: Callable[[str], Path]) -> Mapping[str, str]:
    """Path as written → digest, of every local file or directory that the provisioner reads."""
    if isinstance(provisioner, ShellProvisioner):
        return {name: _digest_script(find_file(name)) for name in provisioner.files}
    if provisioner.direction == "download":
        return {}
    return {name: digest_tree(find_file(name)) for name in provisioner.all_sources}


def digest_tree(path: Path) -> str:
    """A digest over names, permissions and contents of a file or a directory, links followed."""
    entries = [(name, _mode(item), digest_file(item)) for name, item in _files(path)]
    return digest_of({"entries": entries})


def digest_file(path: Path) -> str:
    """sha256 (hex) of a file's content; a directory counts as empty."""
    if path.is_dir():
        return ""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as stream:
            while chunk := stream.read(CHUNK):
                digest.update(chunk)
    except OSError as error:
        raise InvalidInput(f"Cannot read {path}: {error.strerror}.") from error
    return digest.hexdigest()


def _digest_script(path: Path) -> str:
    if not path.is_file():
        raise InvalidInput(f"{path} is not a file, so it cannot be run as a script.")
    return digest_file(path)


def _files(path: Path) -> Iterator[tuple[str, Path]]:
    """(relative name, path) of the path itself and everything below, in a stable order."""
    yield "", path
    if path.is_dir():
        yield from _below(path, path, (path.resolve(),))


def _below(top: Path, directory: Path, ancestors: tuple[Path, ...]) -> Iterator[tuple[str, Path]]:
    for item in sorted(directory.iterdir()):
        yield item.relative_to(top).as_posix(), item
        if item.is_dir():
            resolved = item.resolve()
            if resolved in ancestors:
                raise InvalidInput(f"{item} is a link in a circle.")
            yield from _below(top, item, (*ancestors, resolved))


def _mode(path: Path) -> int:
    try:
        return path.stat().st_mode & 0o777
    except OSError as error:
        raise InvalidInput(f"Cannot read {path}: {error.strerror}.") from error
