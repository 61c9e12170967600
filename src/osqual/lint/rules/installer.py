"""OSQ301-302: the installer in a profile against the release in the directory's name."""

import re
from collections.abc import Iterator
from itertools import pairwise
from urllib.parse import urlsplit

from osqual.formats.versions import compare_versions
from osqual.lint.finding import Found, error, warning
from osqual.lint.view import Leaf, View

_INSTALLER = re.compile(r"download|installer", re.IGNORECASE)
_VERSION = re.compile(r"v?[0-9]+(?:\.[0-9]+)+(?:[-.+~]?[0-9A-Za-z]+)*")
_MOVING = frozenset(
    {"testing", "master", "main", "latest", "nightly", "snapshot", "edge", "pull", "dev"}
)
_COMMIT = re.compile(r"[0-9a-f]{7,64}")


def installers(view: View, leaf: Leaf) -> Iterator[tuple[str, str]]:
    """Name and URL of each variable of the profile that says where the product comes from."""
    for name, value in view.profile(leaf.profile).items():
        if isinstance(value, str) and _INSTALLER.search(name) and "://" in value:
            yield name, value


def _segments(url: str) -> list[str]:
    return [part for part in urlsplit(url).path.split("/") if part]


def wrong_release(view: View) -> Iterator[Found]:
    """Installers of another version than the directory's."""
    for leaf in view.leaves:
        release = leaf.dimensions.get("release", "")
        for name, url in installers(view, leaf) if release else ():
            versions = [part for part in _segments(url) if _VERSION.fullmatch(part)]
            if versions and all(compare_versions(part, release) for part in versions):
                yield _of_profile(
                    view, leaf, name, f"installs {versions[0]}, but the directory says {release}"
                )


def moving_installer(view: View) -> Iterator[Found]:
    """Installers whose content changes while the URL stays."""
    for leaf in view.leaves:
        for name, url in installers(view, leaf):
            parts = _segments(url)
            words = [part for part in parts if part.lower() in _MOVING]
            pinned = any(
                _COMMIT.fullmatch(part) and not part.isdigit() and before in ("commit", "sha")
                for before, part in pairwise(parts)
            )
            if words and not pinned:
                message = f"{url} can change: {words[0]!r} is not a release; name a stable one"
                yield _of_profile(view, leaf, name, message)


def _of_profile(view: View, leaf: Leaf, name: str, message: str) -> Found:
    return Found(
        file=leaf.profile,
        line=view.profile_line(leaf.profile, name),
        key=name,
        message=message,
        configuration=leaf.path,
    )


RULES = (
    error("OSQ301", "Installer of another release", wrong_release),
    warning("OSQ302", "Installer that can change", moving_installer),
)
