"""Runs the server: its address, its token, its certificate, until a signal ends it."""

import signal
import socket
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from osqual.errors import UsageError
from osqual.serve.access import LOOPBACK_NAMES, Access, is_loopback
from osqual.serve.actions import Actions
from osqual.serve.app import Server
from osqual.serve.live_site import LiveSite
from osqual.settings import Settings
from osqual.store.store import Store

LEAVE_S = 2
"""How long connections that follow a run are waited for at the end."""


@dataclass(frozen=True, kw_only=True)
class Serving:
    """What to serve, where, and to whom."""

    catalogue: Path
    settings: Settings
    store: Store
    title: str
    host: str
    port: int
    token: str
    names: Sequence[str] = ()
    certificate: Path | None = None
    key: Path | None = None
    runs_each: int = 20

    def access(self) -> Access:
        """Who may do what. Where only this machine reaches it, looking is free.

        A name that was added stands for a server in front of this one, with others behind it.
        """
        local = is_loopback(self.host)
        named = {self.host, f"[{self.host}]", *self.names}
        return Access(
            token=self.token,
            open_to_read=local and not self.names,
            names=named | (LOOPBACK_NAMES if local else set()),
            secure=self.certificate is not None,
        )


def serve(wanted: Serving, say: Callable[[str], None]) -> None:
    """Serve until Ctrl-C or SIGTERM. Raises OsqualError when that cannot begin."""
    with _listening(wanted) as listener, tempfile.TemporaryDirectory(prefix="osqual-serve-") as at:
        site = LiveSite(
            catalogue=wanted.catalogue,
            store=wanted.store,
            title=wanted.title,
            directory=Path(at),
            only_here=wanted.settings.store is None,
            runs_each=wanted.runs_each,
            say=say,
        )
        site.build()
        actions = Actions(store=wanted.store, settings=wanted.settings)
        server = Server(access=wanted.access(), site=site, actions=actions)
        config = _configured(wanted, server)
        say(f"{_address(wanted, listener)}  Ctrl-C stops.")
        site.start()
        # uvicorn stops politely, then repeats the signal for whoever had it before.
        before = signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            uvicorn.Server(config).run(sockets=[listener])
        except KeyboardInterrupt:
            say("Stopped. Runs go on.")
        finally:
            signal.signal(signal.SIGTERM, before)
            site.stop()


@contextmanager
def _listening(wanted: Serving) -> Iterator[socket.socket]:
    """The socket, bound before anything is made. Raises UsageError."""
    family = socket.AF_INET6 if ":" in wanted.host else socket.AF_INET
    try:
        listener = socket.create_server((wanted.host, wanted.port), family=family)
    except OSError as error:
        raise UsageError(
            f"Nobody can listen on {wanted.host} port {wanted.port}.",
            details=str(error),
            resolution="another program has the port, or the address is not this machine's: "
            "choose others with --port and --bind",
        ) from error
    with listener:
        yield listener


def _configured(wanted: Serving, server: Server) -> uvicorn.Config:
    """Says little, trusts no header of a proxy, and speaks TLS when it has a certificate."""
    config = uvicorn.Config(
        server.application(),
        lifespan="off",
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=LEAVE_S,
        proxy_headers=False,
        ssl_certfile=wanted.certificate,
        ssl_keyfile=wanted.key,
    )
    try:
        config.load()
    except OSError as error:  # ssl.SSLError is one
        raise UsageError(
            f"The certificate {wanted.certificate} cannot be used.",
            details=str(error),
            resolution="name files in PEM with --certificate and --key",
        ) from error
    return config


def _address(wanted: Serving, listener: socket.socket) -> str:
    scheme = "https" if wanted.certificate else "http"
    host = f"[{wanted.host}]" if ":" in wanted.host else wanted.host
    return f"{scheme}://{host}:{listener.getsockname()[1]}/"
