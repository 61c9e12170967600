"""`osqual import-mutes`: `-k 'not …'` and its comments become entries of mutes.yaml."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from osqual.cli.catalogue_options import CatalogueCommand, complete_leaf, filters_of
from osqual.cli.changing import Writing, carry_out, change_options, tell
from osqual.cli.common import catalogue_option
from osqual.cli.tables import print_problems

if TYPE_CHECKING:
    from osqual.changes.import_mutes import Import

EPILOG = """\b
Examples:
  osqual import-mutes --dry-run
  osqual import-mutes --os flatcar-linux
  osqual import-mutes --tests collected.txt     # pytest --collect-only -q > collected.txt

Each test that -k leaves out becomes an entry with the ticket and reason of its
comment, in the highest directory in which it holds for just the same
configurations. -k hides every test whose name contains the word: what it hid
beside the test that it names gets entries of its own. Before anything is
written, the tests that every configuration mutes are compared with those
before, over all tests that the catalogue or --tests knows; they must be equal.

The tests still do not run (`run: never`). With --run they do, and only their
failure does not count: that shows which mutes can be lifted.
"""


@click.command(cls=CatalogueCommand, name="import-mutes", epilog=EPILOG)
@click.argument("patterns", nargs=-1, shell_complete=complete_leaf)
@click.option(
    "--tests",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Test ids, one a line, as pytest --collect-only -q prints them.",
)
@click.option("--run", is_flag=True, help="Let the tests run, without their failure counting.")
@change_options
@catalogue_option
def import_mutes(
    *,
    patterns: tuple[str, ...],
    tests: Path | None,
    run: bool,
    writing: Writing,
    start: Path,
    **dimensions: Any,
) -> None:
    """Turn -k strings and their comments into mutes."""
    from osqual.catalogue.catalogue import open_catalogue
    from osqual.changes.import_mutes import Importer

    catalogue = open_catalogue(start)
    filters = filters_of(catalogue, dimensions)
    chosen = [item for item in catalogue.select(patterns) if filters.matches(item.dimensions)]
    known = _read_tests(tests) if tests is not None else []
    importer = Importer(catalogue, chosen, known, datetime.now(UTC).date(), run=run)
    found = importer.plan()
    print_problems(found.problems)
    tell(_report(found))
    tell((f"left as it is: {text}" for text in found.skipped), colour="yellow")
    carry_out(found.draft, writing, _document(found))


def _read_tests(path: Path) -> list[str]:
    from osqual.formats.documents import read_document

    lines = read_document(path.resolve().parent, path.resolve().name).splitlines()
    return [line.strip() for line in lines if "::" in line]


def _document(found: "Import") -> dict[str, Any]:
    configurations, tests = found.proven
    return {
        "entries": [{"file": place, **entry.document()} for place, entry in found.entries],
        "replaced_in": found.files,
        "widened": found.widened,
        "skipped": found.skipped,
        "problems": [str(problem) for problem in found.problems],
        "proven": {"configurations": configurations, "tests": tests},
    }


def _report(found: "Import") -> Iterator[str]:
    for word, also in sorted(found.widened.items()):
        yield f"-k 'not {word}' also hid {', '.join(also)}: now with entries of their own"
    places = sorted({place for place, _ in found.entries})
    if found.entries:
        yield (
            f"{len(found.entries)} entries in {len(places)} files replace -k in "
            f"{len(found.files)} files"
        )
    configurations, tests = found.proven
    yield f"proven equal for {configurations} configurations and {tests} known tests"
