"""What the reference lists, made from the code while the site is built, so that no copy can rot.

A comment `<!-- generated: NAME -->` alone on a line is replaced by what `CONTENTS[NAME]` writes.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Any

import click
from sphinx.application import Sphinx
from sphinx.pycode import ModuleAnalyzer

from osqual import errors
from osqual.cli.main import COMMANDS, SECTIONS, cli
from osqual.events import EventKind
from osqual.lint.registry import RULES
from osqual.schemas import SCHEMAS, schema_of
from osqual.settings import ENVIRONMENT

MARK = re.compile(r"^<!-- generated: (.*?) -->$", re.MULTILINE)
DOCUMENTED_FIELDS = (
    "osqual.attest.policy",
    "osqual.conventions",
    "osqual.mutes.entries",
    "osqual.products.node_set",
    "osqual.products.definition",
    "osqual.publish.record",
    "osqual.settings",
    "osqual.products.suite_entry",
)
"""Modules whose classes describe files; what stands below a field is its meaning."""


def fill_in(app: Sphinx, docname: str, source: list[str]) -> None:
    """A Sphinx `source-read` handler: put what is generated in its place."""
    source[0] = filled(source[0], Path(app.srcdir) / f"{docname}.md")


def filled(text: str, page: Path) -> str:
    """The text of a page with every mark replaced."""
    return MARK.sub(lambda found: "\n".join(written(found[1], text, page)), text)


def written(name: str, text: str, page: Path) -> Iterator[str]:
    """What one mark stands for. Raises KeyError for one that means nothing."""
    if name == "contents":
        return contents(text, page)
    if name.endswith(".md"):
        return iter((page.parent / name).read_text().partition("\n")[2].split("\n"))
    return CONTENTS[name]()


def contents(text: str, page: Path) -> Iterator[str]:
    """A hidden table of contents: what a page links to, in its order; then its other neighbours."""
    links = re.findall(r"\]\(([^):#]+)\.md[)#]", text)
    below = [link for link in links if not link.startswith("../")]
    beside = sorted(path.stem for path in page.parent.glob("*.md") if path != page)
    yield from ("```{toctree}", ":hidden:", "", *dict.fromkeys([*below, *beside]), "```")


def commands() -> Iterator[str]:
    """Every command with its options, by section."""
    for section in SECTIONS:
        yield from (f"## {section}", "")
        for name, (where, _, _) in COMMANDS.items():
            if where == section:
                context = click.Context(cli, info_name="osqual")
                yield from command_lines(command_of(cli, name, context), context, name)


def command_of(group: click.Group, name: str, context: click.Context) -> click.Command:
    """A command that its group lists."""
    command = group.get_command(context, name)
    if command is None:
        raise KeyError(name)
    return command


def command_lines(command: click.Command, parent: click.Context, name: str) -> Iterator[str]:
    """One command: help, options, examples; then its own commands."""
    context = click.Context(command, parent, name)
    usage = " ".join(command.collect_usage_pieces(context))
    yield from (f"### {context.command_path}", "", "```text")
    yield from (f"{context.command_path} {usage}", "```", "")
    yield from help_lines(command.help or "")
    records = [parameter.get_help_record(context) for parameter in command.get_params(context)]
    yield from table("option", "meaning", [(f"`{a}`", plain(b)) for a, b in filter(None, records)])
    yield from help_lines(command.epilog or "")
    if isinstance(command, click.Group):
        for inner in command.list_commands(context):
            yield from command_lines(command_of(command, inner, context), context, inner)


def help_lines(text: str) -> Iterator[str]:
    r"""Paragraphs of a help text; one that begins with \b keeps its lines."""
    for paragraph in re.sub(r"(?m)^[ \t]+$", "", text).strip().split("\n\n"):
        if paragraph.startswith("\b"):
            yield from ("```text", *paragraph.splitlines()[1:], "```", "")
        elif paragraph.strip():
            yield from (plain(paragraph), "")


def plain(text: str) -> str:
    """Text on one line, with everything outside of `code` meant as it is."""
    parts = " ".join(text.split()).split("`")
    parts[::2] = [re.sub(r"([\\*_<\[\]#|~])", r"\\\1", part) for part in parts[::2]]
    return "`".join(parts)


def table(left: str, right: str, rows: Sequence[tuple[str, str]]) -> Iterator[str]:
    """A table of two columns, or nothing without rows."""
    if rows:
        yield from (f"| {left} | {right} |", "|---|---|")
        yield from (f"| {a.replace('|', chr(92) + '|')} | {b} |" for a, b in rows)
        yield ""


def meanings(module: str) -> Mapping[tuple[str, str], str]:
    """(Class, attribute) to the text that stands below it in the source."""
    docs = ModuleAnalyzer.for_module(module).find_attr_docs()
    return {name: plain(" ".join(lines)) for name, lines in docs.items()}


def exit_codes() -> Iterator[str]:
    """Every exit code, and the errors that lead to it."""
    said = meanings("osqual.errors")
    kinds: dict[int, list[str]] = {}
    for value in vars(errors).values():
        if isinstance(value, type) and issubclass(value, errors.OsqualError):
            words = (value.__doc__ or "").strip().partition("\n")[0]
            kinds.setdefault(int(value.exit_code), []).append(f"`{value.__name__}`: {plain(words)}")
    rows = [(f"{code.value}", said["ExitCode", code.name]) for code in errors.ExitCode]
    yield from table("code", "meaning", rows)
    yield from ("## Errors, by exit code", "")
    for code in errors.ExitCode:
        for line in [f"### {code.value}", "", *(f"- {kind}" for kind in kinds.get(code, ())), ""]:
            if code in kinds:
                yield line


def events() -> Iterator[str]:
    """Every kind of event."""
    yield from table("kind", "meaning", list(members(EventKind)))


def members(kinds: type[Enum]) -> Iterator[tuple[str, str]]:
    """Values of an enumeration, and what its source says of each."""
    said = meanings(kinds.__module__)
    return ((f"`{kind.value}`", said[kinds.__name__, kind.name]) for kind in kinds)


def lint_rules() -> Iterator[str]:
    """Every rule, with its page."""
    for rule in RULES.values():
        yield f"- [{rule.code}](lint/{rule.code}.md): {plain(rule.title)}"


def environment() -> Iterator[str]:
    """Variables that set what a setting of osqual.yaml sets."""
    rows = [(f"`{variable}`", f"`{name}`") for variable, name in ENVIRONMENT.items()]
    yield from table("variable", "setting", rows)


def files() -> Iterator[str]:
    """The keys of every file that people write, and of the record."""
    said = {key: text for module in DOCUMENTED_FIELDS for key, text in meanings(module).items()}
    for name, (file, _) in SCHEMAS.items():
        schema = schema_of(name)
        yield from (f"## {file}", "", plain(schema.get("description", "")), "")
        yield from (f"`osqual schema {name}` prints its JSON Schema.", "")
        rows = list(keys_of(schema, schema.get("$defs", {}), said))
        yield from ("| key | value | default | meaning |", "|---|---|---|---|")
        yield from (f"| `{row[0]}` | {' | '.join(row[1:])} |" for row in rows)
        yield ""


TYPES = {"object": "mapping", "array": "list", "boolean": "true or false", "null": ""}
Row = tuple[str, str, str, str]
"""Key, type, default and meaning."""


def keys_of(
    schema: Mapping[str, Any],
    known: Mapping[str, Any],
    said: Mapping[tuple[str, str], str],
    prefix: str = "",
    owner: str = "Settings",
) -> Iterator[Row]:
    """Key, type, default and meaning of everything that a schema describes, sections opened."""
    if "items" in schema:
        yield from keys_of(*resolved(schema["items"], known, said, f"{prefix}[]."))
    for name, field in schema.get("properties", {}).items():
        key = f"{prefix}{name}"
        inner, _, _, _, inner_owner = resolved(field, known, said, key, owner)
        text = said.get((owner, name), "") or plain(inner.get("description", ""))
        default = field.get("default")
        shown = "" if default in (None, "", [], {}) or "properties" in inner else f"`{default}`"
        required = "required" if name in schema.get("required", ()) else shown
        yield key, kind_of(field, known), required, text
        yield from opened(field, known, said, key, inner_owner)


def opened(
    field: Mapping[str, Any],
    known: Mapping[str, Any],
    said: Mapping[tuple[str, str], str],
    key: str,
    owner: str,
) -> Iterator[Row]:
    """The keys inside a field, which may be a section, a list of them, or sections by name."""
    several, named = field.get("items"), field.get("additionalProperties")
    if isinstance(several, dict):
        yield from keys_of(*resolved(several, known, said, f"{key}[].", owner))
    elif isinstance(named, dict):
        yield from keys_of(*resolved(named, known, said, f"{key}.NAME.", owner))
    else:
        yield from keys_of(*resolved(field, known, said, f"{key}.", owner))


def resolved(
    field: Mapping[str, Any],
    known: Mapping[str, Any],
    said: Mapping[tuple[str, str], str],
    prefix: str,
    owner: str = "",
) -> tuple[Mapping[str, Any], Mapping[str, Any], Mapping[tuple[str, str], str], str, str]:
    """The arguments of `keys_of` for what a field refers to; its class is the owner of its keys."""
    for choice in (field, *field.get("anyOf", ())):
        if "$ref" in choice:
            name = choice["$ref"].rpartition("/")[2]
            return known[name], known, said, prefix, name
    return field, known, said, prefix, owner


def kind_of(field: Mapping[str, Any], known: Mapping[str, Any]) -> str:
    """What a value may be, in words."""
    if "$ref" in field:
        return kind_of(known[field["$ref"].rpartition("/")[2]], known)
    if "anyOf" in field:
        kinds = (kind_of(each, known) for each in field["anyOf"])
        return " or ".join(dict.fromkeys(filter(None, kinds)))
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"] if value is not None)
    if "const" in field:
        return f"`{field['const']}`"
    found = field.get("type", "anything")
    types = [found] if isinstance(found, str) else found
    return " or ".join(TYPES.get(each, each) for each in types if each != "null")


CONTENTS: Mapping[str, Callable[[], Iterator[str]]] = {
    "commands": commands,
    "environment": environment,
    "events": events,
    "exit codes": exit_codes,
    "files": files,
    "lint rules": lint_rules,
}
