"""`osqual publish`: bring what a run found to where others find it, again or later."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from osqual.cli.common import current_settings, json_option, print_json

if TYPE_CHECKING:
    from osqual.store.database import Row

EPILOG = """\b
Examples:
  osqual publish latest
  osqual publish latest --to push

Without --to it goes where the run was told to publish. Safe to repeat: a run
has one commit, and files that are there already stay.
"""


@click.command(epilog=EPILOG)
@click.argument("name", metavar="RUN")
@click.option(
    "--to",
    "way",
    type=click.Choice(["worktree", "commit", "push"]),
    help="Instead of where the run was told to publish.",
)
@json_option
def publish(*, name: str, way: str | None, as_json: bool) -> None:
    """Publish images, history and record of RUN, which has ended, from what it has kept.

    RUN is a run's id, a part of it that fits no other, or `latest`.
    """
    from osqual.cancellation import Cancellation
    from osqual.forge.announcement import kept_announcement
    from osqual.pipeline.publishing import found_of, words_of
    from osqual.pipeline.workflow import Engine, scope_for
    from osqual.processes.signals import cancel_on_signals
    from osqual.publish.deliver import Delivered, Delivery
    from osqual.publish.destination import check_destination, deliver
    from osqual.publish.outbox import kept_publication, outbox
    from osqual.run.announcing import tell_again
    from osqual.store.store import open_store

    settings = current_settings()
    store = open_store(settings)
    run = store.run(name)
    directory = Path(run["directory"])
    publication = kept_publication(directory)
    announcement = kept_announcement(outbox(directory))
    if run["status"] != "ended" or (publication is None and announcement is None):
        raise _nothing_to_publish(run)
    cancellation = Cancellation()
    with cancel_on_signals(cancellation, lambda text: click.echo(text, err=True)):
        engine = Engine(
            settings=settings, store=store, cancellation=cancellation, environ=os.environ
        )
        scope = scope_for(run["id"], directory, engine).in_step("publish")
        root = Path(run["catalogue"])
        done = Delivered()
        if publication is not None:
            delivery = Delivery(publication=publication, root=root, scope=scope)
            chosen = way or run["options"]["publish"]
            check_destination(chosen, delivery.repository, settings, os.environ)
            done = deliver(delivery, chosen, os.environ)
        told = announcement is not None and tell_again(announcement, done, root, scope, os.environ)
    if as_json:
        print_json({"run": run["id"], **found_of(done), "forge_told": told})
    else:
        click.echo(f"{run['id']}: {words_of(done) or 'nothing to publish'}")
        if announcement is not None:
            click.echo("The forge was told." if told else "There is no token to tell the forge.")


def _nothing_to_publish(run: "Row") -> Exception:
    from osqual.errors import UsageError

    if run["status"] != "ended":
        return UsageError(
            f"The run {run['id']} has not ended.", resolution="it publishes by itself when it does"
        )
    return UsageError(
        f"The run {run['id']} has nothing to publish.",
        details="Its publish gate did not pass, or it ran with -k or --publish none.",
        resolution="`osqual runs RUN` says how it went; run the configuration again",
    )
