"""`osqual console`: what a node wrote on its serial console."""

import time
from pathlib import Path

import click

from osqual.cli.common import current_settings

POLL_S = 0.3


@click.command()
@click.argument("name", metavar="RUN")
@click.argument("node", required=False)
@click.option("--fork", metavar="NAME", help="Of a fork of the cluster, such as debug-1.")
@click.option("--follow", is_flag=True, help="Go on as the node writes, until Ctrl-C.")
def console(name: str, node: str | None, *, fork: str | None, follow: bool) -> None:
    """Print the serial console of NODE (default: the first master) of RUN.

    It needs no network of the node, and is there after the node's end.
    """
    from osqual.cli.logs import printable
    from osqual.cluster_file import CLUSTER_DIRECTORY, FORKS_DIRECTORY
    from osqual.errors import NotFound
    from osqual.store.store import open_store
    from osqual.suites.progress import LineFollower

    run = open_store(current_settings()).run(name)
    place = Path(run["directory"])
    place = place / FORKS_DIRECTORY / fork if fork else place
    consoles = {
        path.parent.name: path for path in sorted((place / CLUSTER_DIRECTORY).glob("*/console.log"))
    }
    path = consoles.get(node or next(iter(consoles), ""))
    if path is None:
        raise NotFound(
            f"The run {run['id']} has no console of {node or 'a node'}.",
            details="It has: " + (", ".join(consoles) or "none"),
        )
    follower = LineFollower(path)
    while True:
        for line in follower.new_lines():
            click.echo(printable(line))
        if not follow:
            break
        time.sleep(POLL_S)
    click.echo("".join(map(printable, follower.rest())), nl=False)
