"""What lint finds, and what a rule is."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from osqual.lint.view import View


class Level(StrEnum):
    """How bad a finding is: only errors make `lint` fail, unless it is strict."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a rule says of one place. `line` 0 is the file as a whole.

    `configuration` names the one it is about, when it is about one rather than about the file;
    `configurations` are all that it is about.
    """

    file: str
    message: str
    line: int = 0
    key: str = ""
    configuration: str = ""
    configurations: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A rule: what it is called, how bad a breach is, and the function that looks for them."""

    code: str
    title: str
    level: Level
    check: "Callable[[View], Iterable[Found]]"
    fixable: bool = False

    @property
    def page(self) -> str:
        """Its page in the documentation, relative to the project."""
        return f"docs/reference/lint/{self.code}.md"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A breach of a rule. `configurations` are those that it is about, sorted; often none."""

    rule: Rule
    file: str
    message: str
    line: int = 0
    key: str = ""
    configurations: tuple[str, ...] = ()

    @property
    def code(self) -> str:
        """The rule's code."""
        return self.rule.code

    @property
    def level(self) -> Level:
        """How bad it is."""
        return self.rule.level

    @property
    def place(self) -> str:
        """File and line, as editors and terminals understand them."""
        return f"{self.file}:{self.line}" if self.line else self.file


def error(code: str, title: str, check: "Callable[[View], Iterable[Found]]") -> Rule:
    """A rule whose breach is an error."""
    return Rule(code=code, title=title, level=Level.ERROR, check=check)


def warning(
    code: str,
    title: str,
    check: "Callable[[View], Iterable[Found]]",
    *,
    fixable: bool = False,
) -> Rule:
    """A rule whose breach is a warning."""
    return Rule(code=code, title=title, level=Level.WARNING, check=check, fixable=fixable)
