"""The one comment on a change: a table of configurations. Pure.

The rows are kept in the comment itself, invisibly, so that each run can add its own: runs of one
change take place on many machines that share nothing but the forge.
"""

import html
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

MARKER = "<!-- osqual: qualification -->"
LIMIT_CHARS = 60_000
"""GitHub takes 65,536."""
_STATE_BEGIN, _STATE_END = "<!-- osqual: rows ", " -->"
_SIGNS = {"qualified": "✅", "rejected": "❌", "inconclusive": "⚠️"}
_NAMES_SHOWN = (20, 5, 1, 0)
KINDS = ("failing", "flaky", "muted")


@dataclass(frozen=True, kw_only=True)
class Row:
    """What is told of one run; `step` is the one that failed."""

    configuration: str
    run: str
    verdict: str
    reasons: tuple[str, ...] = ()
    step: str = ""
    failing: tuple[str, ...] = ()
    flaky: tuple[str, ...] = ()
    muted: tuple[str, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    """How many failing, flaky and muted tests there are; the names may be fewer."""
    images: Mapping[str, str] = field(default_factory=dict)
    cost_usd: float | None = None
    url: str = ""
    commit: str = ""
    """The head that was qualified."""
    patch: str = ""
    """What could not be pushed."""


def row_document(row: Row) -> dict[str, Any]:
    """A row as JSON."""
    return {key: value for key, value in vars(row).items() if value not in ("", (), None, {})}


def parse_row(document: Mapping[str, Any]) -> Row:
    """What `row_document` made. Raises TypeError or ValueError for anything else."""
    known = {**document}
    for name in ("reasons", *KINDS):
        known[name] = tuple(map(str, known.get(name, ())))
    return Row(**known)


def comment_with(row: Row, before: str | None) -> str:
    """The comment's new text: the row in the place of the configuration's earlier one."""
    rows = {known.configuration: known for known in rows_of(before or "")}
    known = rows.get(row.configuration)
    if known is None or known.run <= row.run:  # by time: an older run tells nothing new
        rows[row.configuration] = row
    return comment_of(rows.values())


def comment_of(rows: Iterable[Row]) -> str:
    """The comment about these runs, in as much detail as fits."""
    ordered = sorted(rows, key=lambda row: row.configuration)
    for shown in _NAMES_SHOWN:
        kept = [_shortened(row, shown) for row in ordered]
        text = "\n".join([MARKER, _state(kept), *_lines(kept)])
        if len(text) <= LIMIT_CHARS:
            return text
    counts = [replace(_shortened(row, 0), reasons=(), images={}) for row in ordered]
    text = "\n".join([MARKER, _state(counts), *_table(counts)])
    return text if len(text) <= LIMIT_CHARS else "\n".join([MARKER, *_table(counts)[:1]])


def table_of(rows: Iterable[Row]) -> str:
    """The same for a job's summary, where nothing has to be kept."""
    ordered = sorted(rows, key=lambda row: row.configuration)
    return "\n".join(_lines([_shortened(row, _NAMES_SHOWN[0]) for row in ordered])) + "\n"


def rows_of(text: str) -> list[Row]:
    """The rows that a comment keeps; none when somebody has edited them away."""
    for line in text.splitlines():
        if line.startswith(_STATE_BEGIN) and line.endswith(_STATE_END):
            try:
                found = json.loads(line.removeprefix(_STATE_BEGIN).removesuffix(_STATE_END))
                return [parse_row(document) for document in found]
            except (ValueError, TypeError, AttributeError):
                return []
    return []


def _state(rows: list[Row]) -> str:
    text = json.dumps([row_document(row) for row in rows], separators=(",", ":"))
    # Nothing in it may end the HTML comment.
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return f"{_STATE_BEGIN}{text}{_STATE_END}"


def _lines(rows: list[Row]) -> list[str]:
    lines = _table(rows)
    for row in rows:
        lines += _details(row)
    return lines


def _table(rows: list[Row]) -> list[str]:
    qualified = sum(row.verdict == "qualified" for row in rows)
    return [
        f"### Qualification: {qualified} of {len(rows)} qualified",
        "",
        "| configuration | verdict | step | failing | flaky | muted | images | cost |",
        "|---|---|---|---|---|---|---|---|",
        *(_table_row(row) for row in rows),
    ]


def _table_row(row: Row) -> str:
    verdict = f"{_SIGNS.get(row.verdict, '')} {row.verdict}".strip()
    cells = [
        _code(row.configuration),
        _link(verdict, row.url),
        _code(row.step),
        *(_names(row, kind) for kind in KINDS),
        "<br>".join(_code(f"{region}: {_short(name)}") for region, name in row.images.items()),
        "" if row.cost_usd is None else f"{row.cost_usd:.2f} USD",
    ]
    return f"| {' | '.join(cells)} |"


def _details(row: Row) -> list[str]:
    about = f"of {_code(row.commit[:12])}" if row.commit else ""
    lines = [
        "",
        f"<details><summary>{_code(row.configuration)}: run {_code(row.run)} {about}</summary>",
        "",
        *(f"- {_text(reason)}" for reason in row.reasons),
        "",
        f"Reproduce it: {_code(f'osqual run {row.configuration} --publish none')}",
    ]
    if row.patch:
        lines += [
            "",
            "Nothing can be pushed to this branch. Apply what is to be published with "
            "<code>git am</code>:",
            "",
            f"<pre>{html.escape(row.patch)}</pre>",
        ]
    return [*lines, "", "</details>"]


def _shortened(row: Row, names: int) -> Row:
    return replace(
        row,
        failing=row.failing[:names],
        flaky=row.flaky[:names],
        muted=row.muted[:names],
        reasons=tuple(reason[:500] for reason in row.reasons[: max(1, names)]),
        patch=row.patch if names == _NAMES_SHOWN[0] else "",
    )


def _names(row: Row, kind: str) -> str:
    names = getattr(row, kind)
    more = row.counts.get(kind, len(names)) - len(names)
    shown = [_link(_code(name), row.url) for name in names]
    return "<br>".join([*shown, f"{more} more"] if more > 0 else shown)


def _link(text: str, url: str) -> str:
    safe = url.startswith(("https://", "http://"))
    return f'<a href="{html.escape(url)}">{text}</a>' if safe else text


def _code(text: str) -> str:
    return f"<code>{_text(text)}</code>" if text else ""


def _text(text: str) -> str:
    """Nothing in it is taken for HTML, Markdown, a column or a name that is notified."""
    line = html.escape(" ".join(text.split()))
    return "".join(f"&#{ord(char)};" if char in "|`*_[]~#@\\" else char for char in line)


def _short(image: str) -> str:
    return image[:19] if image.startswith("sha256:") else image
