"""`osqual derive`: new configurations from existing ones."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from osqual.cli.catalogue_options import CatalogueCommand, complete_leaf
from osqual.cli.changing import Writing, carry_out, change_options, choose, tell
from osqual.cli.common import catalogue_option

if TYPE_CHECKING:
    from osqual.changes.derived import Derived

_SHOWN = 3

EPILOG = """\b
Examples:
  osqual derive --set release=2.1.5 'centos/7.8/**' --dry-run
  osqual derive --set release=2.1.5 '*/*/aws/DCOS-2.1.1/**'
  osqual derive --set docker=19.03.13-ce --docker '19.03.*' 'centos/**' 'rhel/**'
  osqual derive --set os_version=7.9 'centos/7.8/**' --base-images centos-7.9.json

The directory, ami_description, installer URLs and pinned versions follow the
new values. An old value is replaced only where it stands as that version;
other places that look like it are listed for you to look at. Published files
are not copied, nor is what a directory above already gives. Where several
configurations would make the same one, the nearest version makes it.
Nothing that exists is overwritten.
"""


@click.command(cls=CatalogueCommand, epilog=EPILOG)
@click.argument("patterns", nargs=-1, shell_complete=complete_leaf)
@click.option(
    "--set",
    "values",
    multiple=True,
    required=True,
    metavar="DIMENSION=VALUE",
    help="A dimension's new value; repeatable. An optional one is taken away with `none`.",
)
@click.option(
    "--base-images",
    "base_images",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Base images of the new configurations, or a vendor's feed of them.",
)
@click.option(
    "--skip-existing", is_flag=True, help="Leave out what exists already instead of refusing."
)
@change_options
@catalogue_option
def derive(
    *,
    patterns: tuple[str, ...],
    values: tuple[str, ...],
    base_images: Path | None,
    skip_existing: bool,
    writing: Writing,
    start: Path,
    **dimensions: Any,
) -> None:
    """Make new configurations from existing ones with other dimension values."""
    from osqual.catalogue.catalogue import open_catalogue
    from osqual.changes.derive import Deriver
    from osqual.changes.proof import prove
    from osqual.changes.sources import check_dimensions, find_targets

    catalogue = open_catalogue(start)
    wanted = _parse_values(values)
    check_dimensions(catalogue, wanted)  # first: of nothing else is it known what was meant
    sources = choose(catalogue, patterns, dimensions)
    targets = find_targets(catalogue, sources, wanted)
    _refuse_existing(targets.existing, skip_existing)
    text = _read_base_images(base_images) if base_images is not None else None
    deriver = Deriver(catalogue, targets, text)
    derived = deriver.derive()
    prove(catalogue, deriver.draft, derived)
    tell(line for item in derived for line in _report(item))
    tell(_hints(derived), colour="yellow")
    tell(_warnings(derived), colour="yellow")
    facts = {
        "configurations": [_document(item) for item in derived],
        "existing": list(targets.existing),
    }
    carry_out(deriver.draft, writing, facts)


def _parse_values(values: Sequence[str]) -> dict[str, str]:
    from osqual.errors import UsageError

    parsed: dict[str, str] = {}
    for text in values:
        name, equals, value = text.partition("=")
        name = name.strip().replace("-", "_")
        if not equals or not name:
            raise UsageError(f"--set {text!r} must be DIMENSION=VALUE.")
        if name in parsed:
            raise UsageError(f"--set gives {name} twice.")
        parsed[name] = value.strip()
    return parsed


def _refuse_existing(existing: Sequence[str], skip_existing: bool) -> None:
    from osqual.errors import UsageError

    if existing and not skip_existing:
        shown = [*existing[:10], *([f"and {len(existing) - 10} more"] if existing[10:] else [])]
        raise UsageError(
            "Some of these configurations exist already. Nothing was written.",
            details="\n".join(shown),
            resolution="choose other sources, or leave these out with --skip-existing; to change "
            "an existing configuration use `osqual edit`",
        )
    tell(f"exists, left as it is: {path}" for path in existing)


def _read_base_images(path: Path) -> str:
    from osqual.catalogue.files import parse_base_images
    from osqual.changes.feed import is_feed, parse_feed
    from osqual.formats.documents import read_document

    text = read_document(path.resolve().parent, path.resolve().name)
    if is_feed(text, str(path)):
        return parse_feed(text, str(path)).as_base_images()
    parse_base_images(text, str(path))
    return text


def _report(item: "Derived") -> Iterator[str]:
    yield f"{item.target.path}  (from {item.target.source.path})"
    places = {origin: place for place, origin in item.files.items()}
    replaced: dict[tuple[str, str, str], list[str]] = {}
    for origin, found in item.replacements:
        if origin in places or found.dimension == "base image":
            place = places.get(origin, origin)
            shown = f"{_short(place, item.target.path)}:{found.line}"
            replaced.setdefault((found.dimension, found.old, found.new), []).append(shown)
    for (dimension, old, new), where in replaced.items():
        told = "path" if dimension == "path" else f"{dimension.replace('_', ' ')} {old} -> {new}"
        yield f"  {told}: {', '.join(dict.fromkeys(where))}"
    if item.inherited:
        yield f"  from above: {', '.join(sorted(set(item.inherited)))}"
    if item.same_recipe and not item.has_old_base:
        yield "  same recipe as its source: its image need not be built anew"
    if item.target.passed_over:
        shown = ", ".join(item.target.passed_over[:_SHOWN])
        more = len(item.target.passed_over) - _SHOWN
        yield f"  nearer than {shown}" + (f" and {more} more" if more > 0 else "")


def _document(item: "Derived") -> dict[str, Any]:
    places = {origin: place for place, origin in item.files.items()}
    return {
        "configuration": item.target.path,
        "from": item.target.source.path,
        "passed_over": list(item.target.passed_over),
        "inherited": sorted(set(item.inherited)),
        "same_recipe": item.same_recipe and not item.has_old_base,
        "replacements": [
            {"file": places.get(origin, origin), **asdict(found)}
            for origin, found in item.replacements
        ],
        "look_at": [
            {"file": places.get(origin, origin), **asdict(hint)} for origin, hint in item.hints
        ],
        "warnings": item.warnings,
    }


def _short(place: str, leaf: str) -> str:
    return place.removeprefix(f"{leaf}/")


def _hints(derived: Sequence["Derived"]) -> Iterator[str]:
    """Each doubtful line once, with how many files have it."""
    found: dict[tuple[str, str], dict[str, int]] = {}
    for item in derived:
        places = {origin: place for place, origin in item.files.items()}
        for origin, hint in item.hints:
            where = found.setdefault((hint.why, hint.text[:160]), {})
            where[places.get(origin, origin)] = hint.line
    for (why, text), where in found.items():
        first = min(where)
        more = f" and {len(where) - 1} more" if len(where) > 1 else ""
        yield f"look at {first}:{where[first]}{more}: {why}"
        yield f"    {text}"


def _warnings(derived: Sequence["Derived"]) -> Iterator[str]:
    found: dict[str, list[str]] = {}
    for item in derived:
        for warning in item.warnings:
            found.setdefault(warning, []).append(item.target.path)
    for warning, paths in found.items():
        more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
        yield f"warning: {paths[0]}{more}: {warning}"
