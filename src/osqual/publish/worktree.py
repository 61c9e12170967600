"""Writing published files into the catalogue's work tree: atomic, and nothing else is touched."""

from pathlib import Path

from osqual.errors import PublishFailed
from osqual.processes.process import write_atomic
from osqual.publish.files import unreadable


def read_published(path: Path) -> str | None:
    """The content of a published file; None where there is none. Raises PublishFailed."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise unreadable(str(path), str(error)) from error


def write_published(path: Path, content: str) -> None:
    """Write a published file as a whole. Raises PublishFailed."""
    try:
        write_atomic(path, content)
    except OSError as error:
        raise PublishFailed(
            f"Cannot write {path}.",
            details=str(error),
            resolution="make the work tree writable, then publish the run again",
        ) from error
