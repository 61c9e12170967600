"""`osqual why`: each failing test of a run, against all that is known of other runs."""

import time
from typing import TYPE_CHECKING, Any

import click

from osqual.cli.common import current_settings, json_option, print_json
from osqual.cli.tables import printable

if TYPE_CHECKING:
    from osqual.report.why import Explained, Sighting

SHOWN_ELSEWHERE = 5

EPILOG = """\b
Examples:
  osqual why
  osqual why 20261123-001805-4149a8 --no-console
  osqual why latest --json

The signature names a failure: the same whatever addresses, ids and times it
mentions. `osqual mute TEST --signature SIGNATURE` mutes just this failure.
"""


@click.command(epilog=EPILOG)
@click.argument("name", metavar="RUN", default="latest")
@click.option("--console/--no-console", default=True, help="The ends of the nodes' consoles.")
@json_option
def why(name: str, *, console: bool, as_json: bool) -> None:
    """Say of each failing test: seen first, seen where else, and what changed since it was good.

    RUN is a run's id, a part of it that fits no other, or `latest` (the default). It knows the
    runs of this store.
    """
    from osqual.report.why import explain
    from osqual.store.store import open_store

    store = open_store(current_settings())
    run = store.run(name)
    found = explain(run, store)
    if as_json:
        print_json(
            {
                "run": run["id"],
                "configuration": run["configuration"],
                "verdict": run["verdict"],
                "reasons": run["reasons"],
                "failures": [_document(each) for each in found],
            }
        )
        return
    click.secho(f"{run['verdict'] or 'not judged'}  {run['configuration']}", bold=True)
    for reason in run["reasons"]:
        click.echo(f"  · {printable(reason)}")
    for each in found:
        _print(each, console=console)
    if not found:
        click.echo("No test failed.")


def _print(each: "Explained", *, console: bool) -> None:
    result = each.result
    outcome = result["outcome"] if result["outcome"] != "muted" else f"muted, {result['shadow']}"
    failures = f"{result['failures'] or 1} of {result['attempts']} attempts failed"
    click.echo()
    click.secho(printable(f"{result['suite']}: {result['test_id']}"), bold=True)
    lines = [
        (
            "outcome",
            f"{outcome}, {failures}",
        ),
        ("says", result["message"].partition("\n")[0]),
        ("signature", result["signature"]),
        ("first seen", "in this run" if each.is_new else _place(each.first_seen)),
        *(("also seen", _place(seen)) for seen in each.elsewhere[:SHOWN_ELSEWHERE]),
    ]
    more = len(each.elsewhere) - SHOWN_ELSEWHERE
    lines += [("", f"and {more} more")] if more > 0 else []
    lines += _since(each)
    for name, text in lines:
        if text:
            click.echo(f"  {name:<11} {printable(text)}")
    for node, tail in each.consoles.items() if console else ():
        click.echo(f"  the console of {node} at that time:")
        for line in tail:
            click.echo(f"    {printable(line)}")


def _since(each: "Explained") -> list[tuple[str, str]]:
    if each.last_good is None:
        return [("last good", "never, as far as this store knows")]
    lines = [("last good", f"{_when(each.last_good['started_at'])} in {each.last_good['id']}")]
    if each.changes is None:
        return [*lines, ("since then", "it is not known what changed")]
    words = each.changes or ("nothing that osqual knows of changed",)
    return [*lines, *(("since then", word) for word in words)]


def _place(seen: "Sighting | None") -> str:
    if seen is None:
        return ""
    return f"{_when(seen.seen_at)} in {seen.run_id}, {seen.configuration} ({seen.test_id})"


def _when(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))


def _document(each: "Explained") -> dict[str, Any]:
    result = each.result
    keys = ("suite", "test_id", "outcome", "shadow", "message", "signature", "attempts", "failures")
    return {
        **{key: result[key] for key in keys},
        "new": each.is_new,
        "first_seen": vars(each.first_seen) if each.first_seen else None,
        "also_seen": [vars(seen) for seen in each.elsewhere],
        "last_good": each.last_good["id"] if each.last_good else None,
        "changes": None if each.changes is None else list(each.changes),
        "consoles": {node: list(lines) for node, lines in each.consoles.items()},
    }
