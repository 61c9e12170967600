"""OSQ901: copies that a parent directory could hold once."""

from collections.abc import Iterator

from osqual.lint.copies import find_hoists
from osqual.lint.finding import Found, warning
from osqual.lint.view import View


def copies(view: View) -> Iterator[Found]:
    """Equal files below one directory."""
    for hoist in find_hoists(view):
        count = len(hoist.copies)
        if hoist.is_new:
            message = f"is the same in {count} places: {hoist.target} could hold it once"
        else:
            places = "places" if count > 1 else "place"
            message = f"in {count} {places} repeats {hoist.target}, which would be found without it"
        yield Found(file=hoist.copies[0], message=message, configurations=hoist.configurations)


RULES = (warning("OSQ901", "Copies that a parent could hold", copies, fixable=True),)
