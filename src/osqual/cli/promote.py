"""`osqual promote`: put qualified images into a channel, or take them out."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from osqual.cli.changing import Writing, carry_out, change_options
from osqual.cli.common import catalogue_option
from osqual.formats.times import iso

if TYPE_CHECKING:
    from osqual.catalogue.catalogue import Catalogue
    from osqual.catalogue.channels import Promoted
    from osqual.model import Configuration

EPILOG = """\b
Examples:
  osqual promote debian/12/qemu/swarm-20.10/docker-20.10 --to candidate
  osqual promote 'centos/7.9/**' --to stable --policy policy.yaml --dry-run
  osqual promote 'centos/7.6/**' --from stable
  osqual find --channel stable --os centos --region us-west-2 --id-only

Channels are files, channels/NAME.yaml: commit them.
"""


@click.command(epilog=EPILOG)
@click.argument("leaves", metavar="LEAF...", nargs=-1, required=True)
@click.option("--to", "to", metavar="CHANNEL", help="Put them into this channel.")
@click.option("--from", "out_of", metavar="CHANNEL", help="Take them out of this channel.")
@click.option(
    "--policy", type=click.Path(path_type=Path), help="What a record must meet, as for verify."
)
@change_options
@catalogue_option
def promote(
    *,
    leaves: tuple[str, ...],
    to: str | None,
    out_of: str | None,
    policy: Path | None,
    start: Path,
    writing: Writing,
) -> None:
    """Put the published images of LEAF into a channel: only qualified ones that are not revoked.

    Where osqual.yaml trusts keys (attest.trusted), what is promoted must be proven, as by verify.
    """
    import yaml

    from osqual.catalogue.catalogue import open_catalogue
    from osqual.catalogue.channels import channel_document, channel_path, parse_channel
    from osqual.changes.draft import Draft
    from osqual.errors import UsageError

    name = to or out_of
    if not name or (to and out_of):
        raise UsageError("Either --to or --from names the channel.")
    catalogue = open_catalogue(start)
    draft, path = Draft(catalogue.root), channel_path(name)
    channel = dict(parse_channel(draft.read_text(path) or "", path))
    chosen = catalogue.select(leaves)
    for configuration in chosen:
        if to:
            channel[configuration.path] = promoted(catalogue, configuration, policy)
        else:
            channel.pop(configuration.path, None)
    draft.write(path, yaml.safe_dump(channel_document(channel), sort_keys=False))
    carry_out(draft, writing, {"channel": name, "configurations": [one.path for one in chosen]})


def promoted(
    catalogue: "Catalogue", configuration: "Configuration", policy: Path | None
) -> "Promoted":
    """What goes into a channel. Raises NotProven for what must not."""
    import json
    from datetime import UTC, datetime

    from osqual.attest.envelope import NotProven
    from osqual.attest.policy import Policy, objections, read_policy
    from osqual.attest.published_files import read_published_files
    from osqual.attest.trust import trust_of
    from osqual.attest.verify import verify
    from osqual.catalogue.channels import Promoted
    from osqual.catalogue.facts import Standing, facts_of
    from osqual.settings import load_settings

    facts, _ = facts_of(catalogue, configuration.path, configuration.dimensions)
    published = read_published_files(catalogue, configuration)
    now = datetime.now(UTC)
    wanted = Policy() if policy is None else read_policy(policy)
    against = [
        f"it stands as: {facts.standing.value}" if facts.standing is not Standing.QUALIFIED else "",
        *(published.withdrawn.get(image, "") for image in published.images.values()),
    ]
    if facts.standing is Standing.QUALIFIED:
        against += objections(json.loads(published.record), wanted, now)
    if any(against):
        raise NotProven(
            f"{configuration.path} cannot be promoted.",
            details="\n".join(filter(None, against)),
            resolution="qualify it first: osqual run LEAF",
        )
    settings = load_settings(catalogue.root, os.environ).attest
    if settings.trusted or settings.identities:
        verify(published, trust_of(settings, catalogue.root), wanted, now)
    record = json.loads(published.record)
    return Promoted(
        images=published.images,
        run=str(record.get("run", "")),
        ended_at=str(record.get("ended_at", "")),
        promoted_at=iso(now),
    )
