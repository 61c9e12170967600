"""`osqual verify`: whether what is published about an image is proven."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from osqual.cli.common import catalogue_option, print_json

if TYPE_CHECKING:
    from osqual.attest.verify import Proof

EPILOG = """\b
Examples:
  osqual verify debian/12/qemu/swarm-20.10/docker-20.10 --key keys/release.pub
  osqual verify ami-0977d7933110e9633 --policy policy.yaml
  osqual verify LEAF --identity https://github.com/acme/os-images/.github/workflows/osqual.yml@refs/heads/main
  osqual verify image.qcow2 --format json

Works offline. Exit codes: 0 proven, 1 not proven, 2 wrong input.
In Terraform: data "external" { program = ["osqual", "verify", "--format",
"terraform"], query = { image = "ami-…" } } makes a plan fail for an image
that is not qualified.
"""


@click.command(epilog=EPILOG)
@click.argument("what", metavar="LEAF|IMAGE", required=False)
@click.option(
    "--key",
    "keys",
    type=click.Path(path_type=Path),
    multiple=True,
    help="A public key to believe; repeatable. Default: attest.trusted of osqual.yaml.",
)
@click.option(
    "--identity",
    "identities",
    multiple=True,
    help="An identity to believe that signed without a key (sigstore), such as a workflow's URL; "
    "repeatable. Default: attest.identities of osqual.yaml.",
)
@click.option(
    "--issuer",
    default="https://token.actions.githubusercontent.com",
    show_default=True,
    help="Who vouches for --identity.",
)
@click.option("--policy", type=click.Path(path_type=Path), help="What the record must meet.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "terraform"]),
    default="text",
    show_default=True,
    help="terraform: an external data source, which reads its query from standard input.",
)
@catalogue_option
def verify(
    *,
    what: str | None,
    keys: tuple[Path, ...],
    identities: tuple[str, ...],
    issuer: str,
    policy: Path | None,
    form: str,
    start: Path,
) -> None:
    """Prove that the images of LEAF, or IMAGE (an id or a disk image), are qualified.

    Checks the signature, the chain of digests from base image to record, that the published
    images are those that were tested, that none was withdrawn, and the policy.
    """
    if form == "terraform":
        query = _query(sys.stdin.read() if what is None else "{}")
        what = what or query.get("leaf") or query.get("image")
        keys = keys or tuple(Path(name) for name in [query.get("key")] if name)
        identities = identities or tuple(filter(None, [query.get("identity")]))
        issuer = query.get("issuer", issuer)
        policy = policy or (Path(query["policy"]) if query.get("policy") else None)
        start = Path(query.get("catalogue", start))
    if not what:
        raise click.UsageError("Which configuration, or which image?")
    _print(_proof(what, keys, [(name, issuer) for name in identities], policy, start), form)


def _proof(
    what: str,
    keys: tuple[Path, ...],
    identities: list[tuple[str, str]],
    policy: Path | None,
    start: Path,
) -> "Proof":
    from datetime import UTC, datetime

    from osqual.attest.policy import Policy, read_policy
    from osqual.attest.published_files import find_published
    from osqual.attest.trust import trust_of
    from osqual.attest.verify import verify as prove
    from osqual.catalogue.catalogue import open_catalogue
    from osqual.settings import TrustedIdentity, load_settings

    catalogue = open_catalogue(start)
    settings = load_settings(catalogue.root, os.environ)
    named = [TrustedIdentity(identity=identity, issuer=issuer) for identity, issuer in identities]
    return prove(
        find_published(catalogue, what),
        trust_of(settings.attest, catalogue.root, keys, named),
        Policy() if policy is None else read_policy(policy),
        datetime.now(UTC),
    )


def _print(proof: "Proof", form: str) -> None:
    if form == "json":
        print_json(proof.document())
    elif form == "terraform":  # a flat mapping of texts
        flat = {
            "qualified": "true",
            "configuration": proof.configuration,
            "run": proof.run,
            "ended_at": proof.ended_at,
            **{f"image_{region}": image for region, image in proof.images.items()},
        }
        print_json(flat)
    else:
        click.echo(f"{proof.configuration} is proven to be qualified.")
        for sentence in proof.proven:
            click.echo(f"  · {sentence}")


def _query(text: str) -> dict[str, Any]:
    import json

    from osqual.errors import UsageError

    try:
        query = json.loads(text or "{}")
    except ValueError as error:
        raise UsageError("The query on standard input is not JSON.", details=str(error)) from error
    if not isinstance(query, dict) or not all(isinstance(one, str) for one in query.values()):
        raise UsageError("The query on standard input must map names to text.")
    return query
