"""What is in the cache directory: base images, layers, indexes, inventories, and unfinished work.

The builder owns the inside of layers; here each of its directories is one entry.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from osqual.bases.cache import BaseCache

EntryKind = Literal["base", "index", "inventory", "layer", "partial"]


@dataclass(frozen=True, kw_only=True)
class CacheEntry:
    """One thing that can be pruned; `last_used` is seconds since the epoch.

    `paths` are all files and directories of it, `disks` those a machine may have open, `locks`
    what its users hold.
    """

    kind: EntryKind
    name: str
    size_bytes: int
    last_used: float
    paths: tuple[Path, ...]
    disks: tuple[Path, ...] = ()
    locks: tuple[Path, ...] = ()


def list_entries(root: Path) -> tuple[CacheEntry, ...]:
    """Everything in the cache directory, by kind, the longest unused first."""
    cache = BaseCache(root)
    entries = [
        *_bases(cache),
        *_single_files("index", root / "catalogues"),
        *_single_files("inventory", root / "inventories"),
        *_layers(root / "layers"),
        *_partials(cache),
    ]
    return tuple(sorted(entries, key=lambda entry: (entry.kind, entry.last_used, entry.name)))


def _bases(cache: BaseCache) -> Iterator[CacheEntry]:
    records = dict(_records(cache))
    for disk in _items(cache.directory):
        if not disk.is_file() or disk.suffix not in (".qcow2", ".raw"):
            continue
        own = {path: record for path, record in records.items() if record.get("file") == disk.name}
        names = sorted(str(record.get("reference")) for record in own.values())
        beside = [disk.with_suffix(suffix) for suffix in (".kernel", ".initrd")]
        # Records first: an interrupted removal must not leave one that points nowhere.
        paths = (*own, *(path for path in beside if path.is_file()), disk)
        yield CacheEntry(
            kind="base",
            name=", ".join(names) or f"{disk.stem[:12]} (replaced by a newer one)",
            size_bytes=sum(map(_size, paths)),
            last_used=max(map(_changed, own or [disk])),
            paths=paths,
            disks=(disk,),
            locks=tuple(cache.lock_path(path.stem) for path in own),
        )


def _records(cache: BaseCache) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    for path in _items(cache.directory / "references"):
        with suppress(OSError, ValueError):
            record = json.loads(path.read_text(encoding="utf-8"))
            if isinstance(record, dict):
                yield path, record


def _layers(directory: Path) -> Iterator[CacheEntry]:
    for item in _items(directory):
        if not item.is_dir():
            continue
        files = tuple(path for path in item.rglob("*") if path.is_file())
        yield CacheEntry(
            kind="layer",
            name=item.name[:12],
            size_bytes=sum(map(_size, files)),
            last_used=max(map(_touched, files), default=_changed(item)),
            paths=(item, directory / f"{item.name}.lock"),
            disks=tuple(path for path in files if path.suffix == ".qcow2"),
            locks=(directory / f"{item.name}.lock",),
        )


def _single_files(kind: EntryKind, directory: Path) -> Iterator[CacheEntry]:
    """What its readers take for missing when it is gone: nobody locks it."""
    for path in _items(directory):
        yield CacheEntry(
            kind=kind,
            name=path.stem[:12],
            size_bytes=_size(path),
            last_used=_touched(path),
            paths=(path,),
        )


def _partials(cache: BaseCache) -> Iterator[CacheEntry]:
    for item in _items(cache.directory / "partial"):
        files = [path for path in (item.rglob("*") if item.is_dir() else [item]) if path.is_file()]
        yield CacheEntry(
            kind="partial",
            name=item.name,
            size_bytes=sum(map(_size, files)),
            last_used=max(map(_changed, files), default=_changed(item)),
            paths=(item,),
            locks=(cache.lock_path(item.stem),),
        )


def _items(directory: Path) -> list[Path]:
    try:
        return sorted(directory.iterdir())
    except OSError:
        return []


def _size(path: Path) -> int:
    """Bytes on disk: images are sparse."""
    try:
        return path.stat().st_blocks * 512
    except OSError:
        return 0


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _touched(path: Path) -> float:
    """When it was read or written last; reading is noted at most once a day by the kernel."""
    try:
        return max(path.stat().st_mtime, path.stat().st_atime)
    except OSError:
        return 0.0
