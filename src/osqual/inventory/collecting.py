"""The script that takes an inventory, and inventories as files."""

import gzip
import hashlib
import shlex
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from osqual.inventory.facts import VERSION


def collect_script(secrets: Sequence[str] = ()) -> str:
    """The script's text. `secrets` are values that it looks for; whoever gets the text gets them.

    It is run as `sh -s -- PART...` by root.
    """
    text = (files("osqual.inventory") / "collect.sh").read_text(encoding="utf-8")
    if not secrets:
        return text
    return f"OSQUAL_SECRETS={shlex.quote(chr(10).join(secrets))}\n{text}"


def pack(text: str) -> bytes:
    """The same text gives the same bytes."""
    return gzip.compress(text.encode(errors="surrogateescape"), compresslevel=6, mtime=0)


def unpack(content: bytes) -> str:
    """What `pack` was given. Raises OSError or EOFError for what is no such thing."""
    return gzip.decompress(content).decode(errors="replace")


def read_inventory_file(path: Path) -> str:
    """The text of an inventory that is a file. Raises OSError or EOFError."""
    return unpack(path.read_bytes())


def is_current(path: Path) -> bool:
    """Whether a file is an inventory that this version reads."""
    try:
        with gzip.open(path, "rt", encoding="utf-8", errors="replace") as stream:
            return stream.readline().split("\t")[:2] == ["osqual-inventory", VERSION]
    except (OSError, EOFError):
        return False


def collect_digest() -> str:
    """What tells one way of looking from another."""
    return hashlib.sha256(collect_script().encode()).hexdigest()
