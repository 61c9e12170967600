"""`osqual debug`: enter the cluster of a failed test as it was when it failed."""

import click

from osqual.cli.common import current_settings, json_option, print_json

EPILOG = """\b
Examples:
  osqual run LEAF --isolation fork --keep on-failure
  osqual debug latest
  osqual debug latest test_overlay
"""


@click.command(epilog=EPILOG)
@click.argument("name", metavar="RUN")
@click.argument("test", required=False)
@json_option
def debug(name: str, test: str | None, *, as_json: bool) -> None:
    """Let the cluster go on in which TEST failed, and print the line that opens a shell on it.

    TEST is a test's id, or a part of it that fits no other; without it, the failures that were
    saved are listed. They are saved where tests have forks (`isolation: fork`) and clusters are
    kept (`--keep on-failure`). Each time, the cluster is as it was when the test had failed;
    `osqual destroy RUN` ends it.
    """
    from pathlib import Path

    from osqual.cli.running import entering
    from osqual.operations.debugging import enter_failure, find_failure
    from osqual.store.store import open_store
    from osqual.testing.forks import saved_failures

    settings = current_settings()
    store = open_store(settings)
    run = store.run(name)
    if test is None:
        found = [t for failure in saved_failures(Path(run["directory"])) for t in failure.tests]
        if as_json:
            print_json(found)
        else:
            click.echo("\n".join(found) or f"The run {run['id']} has saved no failure.")
        return
    failure = find_failure(run, test)
    with entering(settings, store, f"osqual debug {run['id']}") as engine:
        fork, cluster = enter_failure(run, failure, engine)
    nodes = [node.name for node in cluster.nodes]
    if as_json:
        print_json({"run": run["id"], "fork": fork, "tests": failure.tests, "nodes": nodes})
        return
    click.echo(f"osqual ssh {run['id']} {nodes[0]} --fork {fork}")
    others = f"its other nodes: {', '.join(nodes[1:])}; " if len(nodes) > 1 else ""
    click.echo(f"{others}`osqual destroy {run['id']}` ends it", err=True)
