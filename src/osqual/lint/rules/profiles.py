"""OSQ6xx: names of profiles."""

from collections.abc import Iterator

from osqual.lint.finding import Found, warning
from osqual.lint.view import View


def old_name(view: View) -> Iterator[Found]:
    """Profiles under the name that they had long ago."""
    files = view.catalogue.conventions.files
    renamed = dict(renames(view))
    for path in view.known_files(files.old_profile):
        if path in renamed:
            message = f"has the old name of a profile: rename it to {files.profile}"
        else:
            message = f"has the old name of a profile and is hidden by {files.profile} beside it"
        yield Found(file=path, message=message)


def renames(view: View) -> Iterator[tuple[str, str]]:
    """Old and new path of each profile that can simply be renamed."""
    files = view.catalogue.conventions.files
    new = frozenset(view.known_files(files.profile))
    for path in view.known_files(files.old_profile):
        target = f"{path.rpartition('/')[0]}/{files.profile}".lstrip("/")
        if target not in new:
            yield path, target


RULES = (warning("OSQ601", "Old profile name", old_name, fixable=True),)
