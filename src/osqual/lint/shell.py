"""Shell scripts as far as lint understands them: commands, without comments and continuations."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

_HEREDOC = re.compile(r"<<-?\s*(?:'(?P<a>\w+)'|\"(?P<b>\w+)\"|\\?(?P<c>\w+))")
_QUOTED = re.compile(r"'[^']*'|\"(?:\\.|[^\"\\])*\"")
_COMMENT = re.compile(r"(?:^|(?<=\s))#.*")
_ASSIGNMENT = re.compile(
    r"\s*(?:export\s+|readonly\s+|local\s+|declare\s+)?(?P<name>[A-Za-z_]\w*)="
    r"(?:\"(?P<double>[^\"$`]*)\"|'(?P<single>[^']*)'|(?P<plain>[^\s;&|$`\"']*))\s*;?\s*$"
)
_VARIABLE = re.compile(r"\$(?:\{(?P<braced>[A-Za-z_]\w*)\}|(?P<plain>[A-Za-z_]\w*))")
_ERREXIT = re.compile(
    r"(?:^|[;&|\s])set\s+(?:-\w+\s+|[\w-]+\s+)*(?:-[a-zA-Z]*e[a-zA-Z]*|-o\s+errexit)"
)
_SHEBANG_ERREXIT = re.compile(r"#!.*\s-[a-zA-Z]*e[a-zA-Z]*(?:\s|$)|#!.*-o\s*errexit")


@dataclass(frozen=True, kw_only=True)
class Command:
    """One logical line, on the line where it begins. `body`: it is inside of a here-document."""

    text: str
    line: int
    body: bool = False


@dataclass(frozen=True, kw_only=True)
class Script:
    """A script. `file` and `line` say where its first line stands (a script may be inline)."""

    file: str
    text: str
    line: int = 1
    key: str = ""
    interpreter: str = ""
    """What runs it when it is inline."""
    given: Mapping[str, str] = field(default_factory=dict)
    """Variables that it is started with."""

    @cached_property
    def commands(self) -> tuple[Command, ...]:
        """What it does, in order."""
        return _commands_of(self.text)

    @property
    def shebang(self) -> str:
        """Its first line, when that names an interpreter."""
        first = self.text.partition("\n")[0]
        return first if first.startswith("#!") else ""

    @property
    def stops_at_errors(self) -> bool:
        """Whether a command that fails ends it."""
        if _SHEBANG_ERREXIT.match(self.shebang or self.interpreter):
            return True
        return any(_ERREXIT.search(command.text) for command in self.commands if not command.body)

    def expand(self, text: str) -> str:
        """The text with those variables put in that are set to a plain value; the rest stays."""
        values = self._variables
        return _VARIABLE.sub(
            lambda found: values.get(found["braced"] or found["plain"], found[0]), text
        )

    @cached_property
    def _variables(self) -> Mapping[str, str]:
        values = dict(self.given)
        for command in self.commands:
            match = None if command.body else _ASSIGNMENT.fullmatch(command.text)
            if match is not None:
                values[match["name"]] = match["double"] or match["single"] or match["plain"] or ""
        return values


@lru_cache(maxsize=4096)
def _commands_of(text: str) -> tuple[Command, ...]:
    """Of each text once: a catalogue is full of copies."""
    return tuple(_commands(text))


def _commands(text: str) -> Iterator[Command]:
    pending, start = "", 0
    heredocs: list[str] = []
    for number, line in enumerate(text.split("\n"), 1):
        line = line.removesuffix("\r")
        if heredocs:
            if line.strip() == heredocs[0]:
                heredocs.pop(0)
            elif not line.lstrip().startswith("#"):
                yield Command(text=line, line=number, body=True)
            continue
        stripped = _without_comment(line) if not pending or not line.startswith("#") else ""
        start = start or number
        if stripped.endswith("\\"):
            pending += stripped[:-1] + " "
            continue
        whole, begun = pending + stripped, start
        pending, start = "", 0
        if whole.strip():
            yield Command(text=whole, line=begun)
            bare = _QUOTED.sub("''", whole) if "<<" not in whole else whole
            heredocs = [m["a"] or m["b"] or m["c"] for m in _HEREDOC.finditer(bare)]
    if pending.strip():
        yield Command(text=pending, line=start)


def _without_comment(line: str) -> str:
    """The line up to a `#` that begins a word outside of quotes."""
    if "#" not in line:
        return line.rstrip()
    masked = _QUOTED.sub(lambda found: "x" * len(found[0]), line)
    found = _COMMENT.search(masked)
    return (line[: found.start()] if found else line).rstrip()
