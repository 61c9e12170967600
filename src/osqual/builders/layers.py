"""The layer store: what a machine's disk, and memory, were after each provisioner.

`layers/<key>/` holds `disk.qcow2` over the layer before, `ram` in RAM mode, and `layer.json`,
which is written last: a layer without it is not there. `layers/<key>.lock` guards its use.
"""

import json
import shutil
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

from osqual.builders.locks import FileHold
from osqual.effects.scope import RunScope
from osqual.processes.process import write_atomic
from osqual.store.database import Row
from osqual.teardown import ResourceKind, place_of

RECORD = "layer.json"
DISK = "disk.qcow2"
RAM = "ram"


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A whole layer. `backing` is the disk below: another layer's, or the base image."""

    key: str
    title: str
    backing: str
    disk_bytes: int
    ram_bytes: int
    made: float
    directory: Path

    @property
    def disk(self) -> Path:
        """The disk after the provisioner."""
        return self.directory / DISK

    @property
    def ram(self) -> Path | None:
        """The memory after the provisioner; None for a layer that has to be booted."""
        return self.directory / RAM if self.ram_bytes else None


class LayerStore:
    """Layers in one cache directory; safe to use from many processes at once."""

    def __init__(self, cache: Path) -> None:
        self.directory = cache / "layers"

    def lock_path(self, key: str) -> Path:
        """The lock file of a layer."""
        return _lock_path(self.directory / key)

    def find(self, key: str) -> Layer | None:
        """The layer when it and everything below it is whole."""
        directory = self.directory / key
        try:
            record = json.loads((directory / RECORD).read_text(encoding="utf-8"))
            layer = Layer(**record, directory=directory)
        except (OSError, ValueError, TypeError):
            return None
        return layer if self._is_whole(layer) else None

    def _is_whole(self, layer: Layer) -> bool:
        if _size(layer.disk) != layer.disk_bytes:
            return False
        if layer.ram is not None and _size(layer.ram) != layer.ram_bytes:
            return False
        below = self._below(layer)
        return Path(layer.backing).exists() if below is None else self.find(below) is not None

    def deepest(self, keys: Sequence[str], holds: ExitStack) -> tuple[int, Layer] | None:
        """(index, layer) of the last key that is there; it cannot be removed until `holds` ends."""
        for index in range(len(keys) - 1, -1, -1):
            if not (self.directory / keys[index] / RECORD).exists():
                continue
            with ExitStack() as chain:
                layer = self._hold(keys[index], chain)
                if layer is not None:
                    holds.push(chain.pop_all())
                    return index, layer
        return None

    def _hold(self, key: str, holds: ExitStack) -> Layer | None:
        """The layer, with a shared lock on it and on all below; None when that cannot be."""
        hold = FileHold(self.lock_path(key))
        holds.callback(hold.close)
        layer = self.find(key) if hold.try_lock(shared=True) else None
        if layer is None or (below := self._below(layer)) is None:
            return layer
        return layer if self._hold(below, holds) else None

    def _below(self, layer: Layer) -> str | None:
        """The key of the layer below; None when it rests on a base image."""
        backing = Path(layer.backing)
        return backing.parent.name if backing.parent.parent == self.directory else None

    def begin(self, key: str) -> "LayerDraft | None":
        """Start to make a layer; None when another process makes or has made it."""
        hold = FileHold(self.lock_path(key))
        if not hold.try_lock() or self.find(key) is not None:
            hold.close()
            return None
        directory = self.directory / key
        shutil.rmtree(directory, ignore_errors=True)  # left by a process that was killed
        try:
            directory.mkdir(parents=True)
        except OSError:
            hold.close()
            raise
        return LayerDraft(key=key, directory=directory, hold=hold)

    def remove(self, key: str) -> bool:
        """Remove a layer unless somebody uses it; what rests on it is no longer whole then."""
        hold = FileHold(self.lock_path(key))
        try:
            if not hold.try_lock():
                return False
            (self.directory / key / RECORD).unlink(missing_ok=True)
            shutil.rmtree(self.directory / key, ignore_errors=True)
            return True
        finally:
            hold.close()

    def all(self) -> tuple[Layer, ...]:
        """Every whole layer, oldest first."""
        if not self.directory.is_dir():
            return ()
        found = [self.find(item.name) for item in self.directory.iterdir() if item.is_dir()]
        return tuple(sorted((x for x in found if x is not None), key=lambda layer: layer.made))

    def prune(self, *, keep: int = 0) -> int:
        """Remove all but the newest layers, and every unfinished one; returns bytes freed.

        Layers in use stay.
        """
        if not self.directory.is_dir():
            return 0
        kept = {layer.key for layer in self.all()[-keep:]} if keep else set()
        freed = 0
        for item in sorted(self.directory.iterdir()):
            if item.is_dir() and item.name not in kept:
                size = sum(_size(file) for file in item.iterdir())
                freed += size if self.remove(item.name) else 0
        return freed


def _unfinished(row: Row) -> bool:
    directory = place_of(row)
    return directory.exists() and not (directory / RECORD).exists() and not _in_use(directory)


def _in_use(directory: Path) -> bool:
    hold = FileHold(_lock_path(directory))
    try:
        return not hold.try_lock()
    finally:
        hold.close()


def _remove_unfinished(row: Row, scope: RunScope) -> None:
    directory = place_of(row)
    if not (directory / RECORD).exists():
        LayerStore(directory.parent.parent).remove(directory.name)


LAYER = ResourceKind(is_there=_unfinished, end=_remove_unfinished)
"""A layer in the making: another build may have taken its place, or finished it, since."""


@dataclass(frozen=True, kw_only=True)
class LayerDraft:
    """A layer in the making; its disk is the one the machine writes to. End it one way or other."""

    key: str
    directory: Path
    hold: FileHold

    @property
    def disk(self) -> Path:
        """Where the machine writes."""
        return self.directory / DISK

    @property
    def ram(self) -> Path:
        """Where its memory goes."""
        return self.directory / RAM

    def finish(self, *, title: str, backing: Path) -> None:
        """Make it a layer. Its disk must not be written to any more; it stays held."""
        layer = Layer(
            key=self.key,
            title=title,
            backing=str(backing),
            disk_bytes=_size(self.disk),
            ram_bytes=_size(self.ram),
            made=time.time(),
            directory=self.directory,
        )
        record = {name: value for name, value in asdict(layer).items() if name != "directory"}
        write_atomic(self.directory / RECORD, json.dumps(record, indent=2) + "\n")
        self.hold.try_lock(shared=True)

    def drop(self) -> None:
        """Take back what was not finished, and let go."""
        if not (self.directory / RECORD).exists():
            shutil.rmtree(self.directory, ignore_errors=True)
        self.hold.close()


def _lock_path(directory: Path) -> Path:
    return directory.with_name(f"{directory.name}.lock")


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
