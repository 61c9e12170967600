"""`osqual serve`: the pages of `osqual site`, live, with runs as they go on."""

import os
from pathlib import Path

import click

from osqual.cli.common import catalogue_option, runs_each_option, title_option

EPILOG = """\b
Examples:
  osqual serve
  osqual serve --port 9000 --title 'Our images'
  osqual serve --bind 0.0.0.0 --name images.example.org \\
    --token-file TOKEN --certificate CERT.pem --key KEY.pem

Looking needs no sign-in on this machine. To cancel and to run again, sign in with
the token: osqual makes one, and says which file has it. On any other address
everything needs it, and you choose it: --token-file, or OSQUAL_SERVE_TOKEN.

Exit codes: 0 stopped, 2 cannot serve that.
"""


@click.command(epilog=EPILOG)
@click.option(
    "--bind",
    "host",
    metavar="ADDRESS",
    default="127.0.0.1",
    show_default=True,
    help="Where to listen. Others than this machine reach any address but the default.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8765,
    show_default=True,
    help="0: any free one.",
)
@click.option(
    "--name",
    "names",
    metavar="HOST",
    multiple=True,
    help="A name under which browsers reach it, beside ADDRESS; repeatable. Requests for other "
    "names are refused, and with one looking needs the token too.",
)
@click.option(
    "--token-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A file with the token that signs in (default: one of this machine's user).",
)
@click.option(
    "--certificate",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Speak TLS, with this certificate (PEM).",
)
@click.option(
    "--key",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The certificate's private key.",
)
@title_option
@runs_each_option()
@catalogue_option
def serve(
    *,
    host: str,
    port: int,
    names: tuple[str, ...],
    token_file: Path | None,
    certificate: Path | None,
    key: Path | None,
    title: str | None,
    runs_each: int,
    start: Path,
) -> None:
    """Show the catalogue and its runs in a browser, as they are at each moment.

    The pages are those of `osqual site`, made anew when runs begin or end. What runs now has its
    steps, its log and its machines' consoles as they grow. Whoever has signed in can cancel a run,
    or have one made again on its image: here, or by the workers when the store is PostgreSQL.
    """
    from osqual.catalogue.catalogue import open_catalogue
    from osqual.errors import MissingProgram
    from osqual.settings import load_settings
    from osqual.store.store import open_store

    try:
        from osqual.serve.server import Serving
        from osqual.serve.server import serve as begin
    except ImportError as error:
        raise MissingProgram(
            "The server needs the libraries starlette and uvicorn.",
            details=str(error),
            resolution="install them: pip install 'osqual[serve]'",
        ) from error
    check_transport(host, certificate, key)
    catalogue = open_catalogue(start, environ=os.environ)
    settings = load_settings(catalogue.root, os.environ)
    token = token_for(host, token_file, settings.directories.state / "serve" / "token")
    store = open_store(settings)
    try:
        begin(
            Serving(
                catalogue=catalogue.root,
                settings=settings,
                store=store,
                title=title or catalogue.root.name,
                host=host,
                port=port,
                token=token,
                names=names,
                certificate=certificate,
                key=key,
                runs_each=runs_each,
            ),
            say=lambda text: click.echo(text, err=True),
        )
    finally:
        store.close()


def check_transport(host: str, certificate: Path | None, key: Path | None) -> None:
    """A key alone is a mistake, and a token that crosses a network in clear is said."""
    from osqual.errors import UsageError
    from osqual.serve.access import is_loopback

    if (certificate is None) != (key is None):
        raise UsageError("TLS needs both --certificate and --key.")
    if certificate is None and not is_loopback(host):
        click.echo(
            "warning: without --certificate the token crosses the network in clear", err=True
        )


def token_for(host: str, given: Path | None, own: Path) -> str:
    """The token: from the file, from the environment, or on this machine the user's own."""
    from osqual.errors import UsageError
    from osqual.serve.access import checked_token, is_loopback, own_token
    from osqual.serve.actions import TOKEN_VARIABLE

    if given is not None:
        return checked_token(read_token(given), str(given))
    if os.environ.get(TOKEN_VARIABLE):
        return checked_token(os.environ[TOKEN_VARIABLE], TOKEN_VARIABLE)
    if not is_loopback(host):
        raise UsageError(
            f"Others than this machine reach {host}: that needs a token.",
            resolution=f"name a file with --token-file, or set {TOKEN_VARIABLE}",
        )
    token = own_token(own)
    click.echo(f"To cancel runs and to run them again, sign in with the token in {own}", err=True)
    return token


def read_token(path: Path) -> str:
    """What the file has. Raises UsageError."""
    from osqual.errors import UsageError

    try:
        return path.read_text(errors="replace")
    except OSError as error:
        raise UsageError(
            f"The token cannot be read from {path}.",
            details=str(error),
            resolution="name a file that you may read with --token-file",
        ) from error
