"""`# osqual: ignore[OSQ301] reason`: findings that somebody has looked at and accepted.

On the finding's own line, or alone on a line: then for the next line, and in a file's leading
comments for findings about the whole file.
"""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from osqual.lint.finding import Finding, Found
from osqual.lint.view import View

_COMMENT = re.compile(r"(?:#|//)\s*osqual:\s*ignore(?:\[(?P<codes>[^\]]*)\])?(?P<reason>.*)")
_MARK = b"osqual:"
# Formats in which the text above is a comment. JSON has none: osqual.yaml ignores there.
_WITHOUT_COMMENTS = (".json", ".md")


@dataclass(frozen=True, kw_only=True)
class Ignore:
    """One comment. `covers` is the line that it is about, 0 for the whole file."""

    codes: tuple[str, ...]
    reason: str
    line: int
    covers: tuple[int, ...]

    def silences(self, finding: Finding) -> bool:
        """Whether it accepts a finding in its file."""
        return finding.code in self.codes and finding.line in self.covers


def ignores_of(view: View, path: str) -> tuple[Ignore, ...]:
    """The comments of one file."""
    if path.endswith(_WITHOUT_COMMENTS) or path not in view.contents.files:
        return ()
    content = view.contents.content(path)
    if content is None or _MARK not in content.data or content.is_binary:
        return ()
    return tuple(_read(view.contents.text(path) or ""))


def _read(text: str) -> Iterator[Ignore]:
    leading = True
    for number, line in enumerate(text.splitlines(), 1):
        bare = line.strip()
        is_comment = bare.startswith(("#", "//"))
        leading = leading and (is_comment or not bare or bare == "---")
        match = _COMMENT.search(line)
        if match is None:
            continue
        alone = bool(_COMMENT.fullmatch(bare))
        covers = [number + 1] if alone else [number]
        if alone and leading:
            covers += [0, 1]
        codes = tuple(part.strip() for part in (match["codes"] or "").split(",") if part.strip())
        yield Ignore(codes=codes, reason=match["reason"].strip(), line=number, covers=tuple(covers))


def useless_comments(view: View, *, known: Collection[str]) -> Iterator[Found]:
    """Comments that silence nothing, because they name no known code, or do not say why."""
    for path in view.contents.paths:
        for ignore in ignores_of(view, path):
            wrong = [code for code in ignore.codes if code not in known]
            if wrong or not ignore.codes:
                named = f"{wrong[0]!r} is no rule's code" if wrong else "it names no code"
                message = f"{named}; write `osqual: ignore[OSQ301] reason`"
                yield Found(file=path, line=ignore.line, message=message)
            elif not ignore.reason:
                message = "does not say why: write the reason behind the bracket"
                yield Found(file=path, line=ignore.line, message=message)
