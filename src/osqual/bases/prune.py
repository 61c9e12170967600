"""Removing from the cache what nobody uses: entries that are locked or open stay."""

import fcntl
import os
import shutil
import struct
import time
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from osqual.bases.entries import CacheEntry, list_entries

JUST_USED_S = 60.0
"""A base is resolved a moment before a machine opens it; until then nothing else protects it."""


@dataclass(frozen=True, kw_only=True)
class Pruned:
    """What was removed (or would be), what is in use, and what could not be removed and why."""

    removed: tuple[CacheEntry, ...]
    in_use: tuple[CacheEntry, ...]
    failed: tuple[tuple[CacheEntry, str], ...]


def prune_cache(root: Path, *, unused_for_s: float, dry_run: bool = False) -> Pruned:
    """Remove every entry that was not used for so long; 0 removes all that is not in use."""
    limit = time.time() - max(unused_for_s, JUST_USED_S)
    removed: list[CacheEntry] = []
    in_use: list[CacheEntry] = []
    failed: list[tuple[CacheEntry, str]] = []
    for entry in list_entries(root):
        if entry.last_used > limit:
            if unused_for_s <= JUST_USED_S:
                in_use.append(entry)
            continue
        with ExitStack() as held:
            if not _hold(entry, held) or any(map(is_open, entry.disks)):
                in_use.append(entry)
                continue
            problem = "" if dry_run else _remove(entry.paths)
        if problem:
            failed.append((entry, problem))
        else:
            removed.append(entry)
    return Pruned(removed=tuple(removed), in_use=tuple(in_use), failed=tuple(failed))


def _hold(entry: CacheEntry, held: ExitStack) -> bool:
    """Take the entry's locks alone for the time of `held`; False when somebody has one."""
    for path in entry.locks:
        try:
            held.enter_context(FileLock(path, timeout=0))
        except (Timeout, OSError):
            return False
    return True


def _remove(paths: Iterable[Path]) -> str:
    """Remove them in order; the first problem, or nothing."""
    for path in paths:
        try:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        except OSError as error:
            return str(error)
    return ""


def is_open(disk: Path) -> bool:
    """Whether a QEMU process has the image open, itself or below an overlay.

    QEMU marks what it does with an image by locks on bytes 100 to 299 of it (open file
    description locks, fcntl(2)); asking whether all could be had alone shows them.
    """
    request = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 100, 200, 0)
    try:
        descriptor = os.open(disk, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        answer = fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, request)
    except OSError:
        return False  # a file system without locks: the lock files alone have to do
    finally:
        os.close(descriptor)
    return bool(struct.unpack("hhqqi4x", answer)[0] != fcntl.F_UNLCK)
