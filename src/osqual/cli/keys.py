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
  osqual keys new keys/mine --openssh && ssh-add keys/mine && rm keys/mine
  export OSQUAL_SIGNING_PRIVATE_KEY_FILE=$PWD/keys/mine.pub  # the agent signs

Commit the .pub and name it in osqual.yaml: attest: {trusted: [keys/release.pub]}
"""


@keys.command(epilog=NEW_EPILOG)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--openssh", is_flag=True, help="In OpenSSH's form, which any `ssh-add` takes.")
@json_option
def new(*, file: Path, openssh: bool, as_json: bool) -> None:
    """Make a pair: FILE, which only you can read, and FILE.pub, which everybody may have."""
    from osqual.attest.keys import SigningKey, write_keys

    key = SigningKey.new()
    public = write_keys(file, key, openssh=openssh)
    if as_json:
        print_json({"id": key.public.id, "private": str(file), "public": str(public)})
    else:
        click.echo(f"{key.public.id}\n  private {file}\n  public  {public}")


@keys.command()
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option("--agent", is_flag=True, help="Every Ed25519 key of the ssh agent instead.")
@json_option
def show(*, file: Path | None, agent: bool, as_json: bool) -> None:
    """Show the public key in FILE, or that of the key that would sign here."""
    import os

    from osqual.attest.agent import agent_keys
    from osqual.attest.keys import read_public_key, signing_key
    from osqual.errors import NotFound

    if file is not None and agent:
        raise click.UsageError("FILE and --agent exclude each other.")
    if agent:
        found = [key.public for key in agent_keys(os.environ)]
        if as_json:
            print_json([{"id": one.id, "public": one.pem} for one in found])
        else:
            click.echo("".join(f"{one.id}\n{one.pem}" for one in found), nl=False)
        return
    if file is not None:
        public = read_public_key(file)
    else:
        key = signing_key(os.environ, current_settings().attest.key)
        if key is None:
            raise NotFound(
                "No key would sign here.",
                resolution="set OSQUAL_SIGNING_PRIVATE_KEY_FILE, OSQUAL_SIGNING_PRIVATE_KEY, or "
                "attest.key in osqual.yaml; `osqual keys new FILE` makes one, and "
                "`osqual keys show --agent` lists those of the ssh agent",
            )
        public = key.public
    if as_json:
        print_json({"id": public.id, "public": public.pem})
    else:
        click.echo(f"{public.id}\n{public.pem}", nl=False)
