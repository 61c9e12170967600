"""`osqual resources`: what runs have made and not ended yet."""

import time

import click

from osqual.cli.common import current_settings, json_option, print_json


@click.command()
@click.argument("name", metavar="[RUN]", required=False)
@json_option
def resources(name: str | None, *, as_json: bool) -> None:
    """List what is open in the journal, of all runs or of RUN, and whether it is really there.

    Only the store and this machine are looked at; nothing is changed.
    """
    from osqual.report.resources import HEADER, resource_document, resource_line
    from osqual.run.parts import BUILT_IN
    from osqual.store.store import open_store

    store = open_store(current_settings())
    run_id = None if name is None else store.run(name)["id"]
    documents = [
        resource_document(row, BUILT_IN.kinds, time.time())
        for row in store.resources(run_id=run_id)
    ]
    if as_json:
        print_json(documents)
    elif documents:
        click.echo("\n".join([HEADER, *map(resource_line, documents)]))
    else:
        click.echo("Nothing is left.", err=True)
