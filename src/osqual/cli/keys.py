"""`osqual keys`: make and show the keys that sign what was qualified."""

from pathlib import Path

import click

from osqual.cli.common import current_settings, json_option, print_json


@click.group()
def keys() -> None:
    """Keys that sign what was qualified (Ed25519)."""


NEW_EPILOG = """\b
Examples:
  osqual keys new keys/release
  export OSQUAL_SIGNING_PRIVATE_KEY_FILE=$PWD/keys/release

Commit the .pub and name it in osqual.yaml: attest: {trusted: [keys/release.pub]}
"""


@keys.command(epilog=NEW_EPILOG)
@click.argument("file", type=click.Path(path_type=Path))
@json_option
def new(*, file: Path, as_json: bool) -> None:
    """Make a pair: FILE, which only you can read, and FILE.pub, which everybody may have."""
    from osqual.attest.keys import SigningKey, write_keys

    key = SigningKey.new()
    public = write_keys(file, key)
    if as_json:
        print_json({"id": key.public.id, "private": str(file), "public": str(public)})
    else:
        click.echo(f"{key.public.id}\n  private {file}\n  public  {public}")


@keys.command()
@click.argument("file", type=click.Path(path_type=Path), required=False)
@json_option
def show(*, file: Path | None, as_json: bool) -> None:
    """Show the public key in FILE, or that of the key that would sign here."""
    import os

    from osqual.attest.keys import read_public_key, signing_key
    from osqual.errors import NotFound

    if file is not None:
        public = read_public_key(file)
    else:
        key = signing_key(os.environ, current_settings().attest.key)
        if key is None:
            raise NotFound(
                "No key would sign here.",
                resolution="set OSQUAL_SIGNING_PRIVATE_KEY_FILE, OSQUAL_SIGNING_PRIVATE_KEY, or "
                "attest.key in osqual.yaml; `osqual keys new FILE` makes one",
            )
        public = key.public
    if as_json:
        print_json({"id": public.id, "public": public.pem})
    else:
        click.echo(f"{public.id}\n{public.pem}", nl=False)
