"""`osqual runs`: what was run, and how it ended."""

import click

from osqual.cli.common import current_settings, json_option, print_json


@click.command()
@click.argument("words", metavar="[[show] RUN]", nargs=-1)
@click.option("-n", "--limit", type=click.IntRange(min=1), default=20, show_default=True)
@click.option("--configuration", metavar="LEAF", help="Only runs of this configuration.")
@json_option
def runs(words: tuple[str, ...], *, limit: int, configuration: str | None, as_json: bool) -> None:
    """List runs, newest first; with RUN, everything that is known of that one.

    RUN is a run's id, a part of it that fits no other, or `latest`. Only the store is read, so
    this works while another osqual runs.
    """
    from osqual.report.runs import run_document, run_line, run_lines
    from osqual.store.store import open_store

    words = words[1:] if words[:1] == ("show",) and len(words) > 1 else words
    if len(words) > 1:
        raise click.UsageError("Name one run.")
    name = words[0] if words else None
    store = open_store(current_settings())
    if name is not None:
        document = run_document(store, store.run(name))
        if as_json:
            print_json(document)
        else:
            click.echo("\n".join(run_lines(document)))
        return
    found = store.runs(configuration=configuration, limit=limit)
    if as_json:
        print_json(found)
    elif found:
        click.echo("\n".join(run_line(row) for row in found))
    else:
        click.echo("There is no run yet. Start one with `osqual run`.", err=True)
