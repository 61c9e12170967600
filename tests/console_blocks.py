"""The commands that the documentation shows, with what they print: found, and compared.

A fenced block of the kind `console` holds commands after `$ ` and below each what it prints. `…`
stands for anything within a line, and alone on a line for any number of lines. A command without
output below it may print what it likes. A comment `# exits 1` names an exit code other than 0.
`<!-- not run: REASON -->` before a block says why a test cannot run it. `<!-- catalogue: NAME -->`
names the catalogue in which what follows is typed; without it, it is one of the original's kind.
"""

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

BLOCK = re.compile(
    r"(?:^ *<!-- not run: (?P<reason>[^\n]+?) -->\n+)?"
    r"^(?P<indent> *)```console\n(?P<body>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)
SCENE = re.compile(r"^<!-- catalogue: (.*?) -->$", re.MULTILINE)
ANY = "…"


@dataclass(frozen=True, kw_only=True)
class Command:
    """One command, as it is shown: `line` is where; `output` is empty when none is shown."""

    text: str
    line: int
    output: tuple[str, ...]
    scene: str
    """The catalogue in which it is typed."""
    not_run: str = ""

    @property
    def words(self) -> list[str]:
        """The command's words, without its comment."""
        return shlex.split(self.text, comments=True)

    @property
    def exit_code(self) -> int:
        """The exit code that a comment names, else 0."""
        named = re.search(r"#.*\bexits (\d+)", self.text)
        return int(named[1]) if named else 0


def commands_in(text: str) -> Iterator[Command]:
    """Every command of a page, in order."""
    for block in BLOCK.finditer(text):
        first = text.count("\n", 0, block.start("body")) + 1
        lines = [line.removeprefix(block["indent"]) for line in block["body"].splitlines()]
        scenes = SCENE.findall(text, 0, block.start())
        scene = scenes[-1] if scenes else "dcos-images"
        yield from _commands(lines, first, scene, block["reason"] or "")


def _commands(lines: Sequence[str], first: int, scene: str, reason: str) -> Iterator[Command]:
    starts = [number for number, line in enumerate(lines) if line.startswith("$ ")]
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        text, *below = lines[start:end]
        while text.endswith("\\") and below:
            text = text[:-1] + below.pop(0).removeprefix("> ").strip()
        while below and not below[-1].strip():
            below.pop()
        yield Command(
            text=text[2:], line=first + start, output=tuple(below), scene=scene, not_run=reason
        )


def fenced_lines(text: str) -> Iterator[tuple[str, str]]:
    """Kind of block and line, for every line in a fenced block."""
    kind: str | None = None
    for line in text.splitlines():
        fence = re.fullmatch(r" *```(\S*)", line)
        if fence:
            kind = fence[1] if kind is None else None
        elif kind is not None:
            yield kind, line.strip()


def matches(shown: Sequence[str], printed: str) -> bool:
    """Whether this was printed, as far as it is shown."""
    parts = []
    for line in shown:
        pieces = (re.escape(piece) for piece in line.rstrip().split(ANY))
        parts.append(r"(?:.*\n)*?" if line.strip() == ANY else r"[^\n]*".join(pieces) + r"[ \t]*\n")
    return re.fullmatch("".join(parts), printed.rstrip("\n") + "\n") is not None


def pages(root: Path) -> list[Path]:
    """Every page that people read."""
    return sorted([*root.glob("*.md"), *(root / "docs").rglob("*.md")])
