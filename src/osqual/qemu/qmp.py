"""QMP over the machine's UNIX socket: a small synchronous face on the `qemu.qmp` library.

QEMU talks to one client at a time, so connections are short: connect, say, leave.
"""

import asyncio
import logging
from collections.abc import Collection, Coroutine, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from qemu.qmp import EventListener, ExecuteError, QMPClient, QMPError

from osqual.cancellation import Cancellation
from osqual.errors import InfrastructureError

POLL_S = 0.1
CONNECT_TIMEOUT_S = 30.0
LEAVE_TIMEOUT_S = 2.0

T = TypeVar("T")


class QmpError(InfrastructureError):
    """QEMU refused a command, or the connection to it was lost."""


class Qmp:
    """One connection. Every wait looks at the cancellation token."""

    def __init__(self, client: QMPClient, runner: asyncio.Runner, token: Cancellation) -> None:
        self._client = client
        self._runner = runner
        self._token = token
        self._listener = EventListener()
        client.register_listener(self._listener)

    def execute(self, command: str, **arguments: Any) -> Any:
        """Run a command and return its value; `_` in argument names stands for `-`.

        Raises QmpError with QEMU's own words.
        """
        named = {name.replace("_", "-"): value for name, value in arguments.items()}
        try:
            return self._await(self._client.execute(command, named or None), self._token)
        except ExecuteError as error:
            raise QmpError(f"QEMU refused {command}: {error}") from error
        except (QMPError, EOFError, OSError) as error:
            raise QmpError(f"The connection to QEMU was lost during {command}: {error}") from error

    def wait_event(self, names: Collection[str], timeout_s: float) -> Mapping[str, Any]:
        """The next event of one of these names since the connection was made; others are dropped.

        Raises TimeLimitExceeded, or QmpError when QEMU ends first.
        """
        token = self._token.limited(timeout_s, f"waiting for {' or '.join(sorted(names))} of QEMU")
        while True:
            event = self._await(self._next_event(), token)
            if event is None:
                raise QmpError("QEMU closed the connection.")
            if event["event"] in names:
                return event

    async def _next_event(self) -> Mapping[str, Any] | None:
        """The next event, or None when the connection has ended and none is left."""
        while True:
            if not self._listener.empty():
                return dict(await self._listener.get())
            if self._client.runstate.name != "RUNNING":
                return None
            await asyncio.sleep(POLL_S / 2)

    def _await(self, work: Coroutine[Any, Any, T], token: Cancellation) -> T:
        return self._runner.run(_watched(work, token))


async def _watched(work: Coroutine[Any, Any, T], token: Cancellation) -> T:
    task = asyncio.ensure_future(work)
    try:
        while not (await asyncio.wait({task}, timeout=POLL_S))[0]:
            token.check()
        return task.result()
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait({task}, timeout=LEAVE_TIMEOUT_S)


@contextmanager
def connect(socket: Path, token: Cancellation) -> Iterator[Qmp]:
    """Connect to the socket, which may be busy or not there yet, and disconnect at the end.

    Raises QmpError when nothing answers in time.
    """
    # The library logs what it then raises; without a handler that would land on standard error.
    logging.getLogger("qemu.qmp").setLevel(logging.CRITICAL + 1)
    limited = token.limited(CONNECT_TIMEOUT_S, f"connecting to QEMU at {socket}")
    with asyncio.Runner() as runner:
        client = QMPClient("osqual")
        try:
            runner.run(_watched(client.connect(str(socket)), limited))
        except (QMPError, EOFError, OSError) as error:
            raise QmpError(f"Cannot connect to QEMU at {socket}: {error}") from error
        try:
            yield Qmp(client, runner, token)
        finally:
            runner.run(_disconnect(client))


async def _disconnect(client: QMPClient) -> None:
    with suppress(QMPError, EOFError, OSError):  # QEMU ended first, as it does after `quit`
        await client.disconnect()
