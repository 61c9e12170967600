"""What runs do as server-sent events: who runs, one run's steps and log, one of its files."""

import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from osqual.errors import NotFound
from osqual.operations.prospects import usual
from osqual.report.plain import plain_line, plain_text
from osqual.report.runs import run_state
from osqual.serve.live_site import LiveSite
from osqual.serve.tails import EventLines, Tail, files_of
from osqual.site.numbered import LETTERS
from osqual.store.database import Row
from osqual.store.store import Store

POLL_S = 1.0
QUIET_S = 15.0
"""After so long something is sent, so that a connection nobody reads is noticed."""
Message = tuple[str, Any, int | None]
"""A name, a document, and where to go on after it."""


@dataclass(frozen=True, kw_only=True)
class Streams:
    """The streams of one server."""

    site: LiveSite
    store: Store
    clock: Callable[[], float] = time.time
    poll_s: float = POLL_S

    async def runs(self, _request: Request) -> Response:
        """`runs`: what runs now, whenever that changes; `site`: the pages were made anew."""
        return self._answer(Overview(streams=self).messages)

    async def run(self, request: Request) -> Response:
        """`run`: state, steps, files; `lines`: its log as it grows; `end` when it has ended."""
        row = await run_in_threadpool(self._row, request)
        return self._answer(OneRun(streams=self, row=row, offset=_last_seen(request)).messages)

    async def file(self, request: Request) -> Response:
        """`text`: the end of one of a run's files as it grows."""
        row = await run_in_threadpool(self._row, request)
        directory = Path(row["directory"])
        name = request.query_params.get("name", "")
        if name not in await run_in_threadpool(files_of, directory):
            return PlainTextResponse("The run has no such file.\n", 404)
        follow = OneFile(streams=self, row=row, path=directory / name, offset=_last_seen(request))
        return self._answer(follow.messages)

    def _row(self, request: Request) -> Row:
        wanted = request.path_params["run"]
        row = self.store.run(wanted)
        if row["id"] != wanted:
            raise NotFound(f"There is no run {wanted}.")
        return row

    def _answer(self, messages: Callable[[], Iterator[Message]]) -> Response:
        return StreamingResponse(
            self._events(messages),
            media_type="text/event-stream",
            headers={"cache-control": "no-store", "x-accel-buffering": "no"},
        )

    async def _events(self, messages: Callable[[], Iterator[Message]]) -> AsyncIterator[str]:
        """Ask again and again for what is new, until there is an `end`."""
        quiet_s = 0.0
        while True:
            found = await run_in_threadpool(lambda: list(messages()))
            for name, document, position in found:
                yield _encoded(name, document, position)
                if name == "end":
                    return
            quiet_s = 0.0 if found else quiet_s + self.poll_s
            if quiet_s >= QUIET_S:
                quiet_s = 0.0
                yield ": still here\n\n"
            await anyio.sleep(self.poll_s)


@dataclass(kw_only=True)
class Overview:
    """Every run that goes on."""

    streams: Streams
    _sent: Any = None
    _site: int = 0

    def messages(self) -> Iterator[Message]:
        """What is new."""
        site = self.streams.site
        if self._site != site.number:
            self._site = site.number
            yield "site", {"number": site.number, "problem": site.problem}, None
        rows = self.streams.store.runs(unfinished_only=True)
        found = [run_snapshot(row, self.streams.store) for row in rows]
        if found != self._sent:
            self._sent = found
            yield "runs", {"now": self.streams.clock(), "runs": found}, None


@dataclass(kw_only=True)
class OneRun:
    """One run's steps and log."""

    streams: Streams
    row: Row
    offset: int = -1
    _sent: Any = None
    _lines: EventLines = field(init=False)

    def __post_init__(self) -> None:
        self._lines = EventLines(
            directory=Path(self.row["directory"]),
            started_at=self.row["started_at"],
            offset=self.offset,
        )
        self._fresh = self.offset < 0

    def messages(self) -> Iterator[Message]:
        """What is new; state is read before the log, so that its last lines are not missed."""
        store = self.streams.store
        row = store.run(self.row["id"])
        found = {
            **run_snapshot(row, store),
            "reasons": [plain_text(reason) for reason in row["reasons"]],
            "files": files_of(Path(row["directory"])),
        }
        if found != self._sent:
            self._sent = found
            yield "run", {"now": self.streams.clock(), **found}, None
        while lines := self._lines.read():
            yield "lines", {"fresh": self._fresh, "lines": lines}, self._lines.offset
            self._fresh = False
        if run_state(row) != "running":
            yield "end", {"state": found["state"]}, None


@dataclass(kw_only=True)
class OneFile:
    """One file of a run."""

    streams: Streams
    row: Row
    path: Path
    offset: int = -1

    def __post_init__(self) -> None:
        self._tail = Tail(path=self.path, offset=self.offset)
        self._fresh = self.offset < 0

    def messages(self) -> Iterator[Message]:
        """What has come since."""
        over = run_state(self.streams.store.run(self.row["id"])) != "running"
        text = self._tail.read()
        if over and not text:
            text = self._tail.read()  # a last line without an end
        if text:
            yield "text", {"fresh": self._fresh, "text": plain_text(text)}, self._tail.offset
            self._fresh = False
        elif over:
            yield "end", {}, None


def run_snapshot(row: Row, store: Store) -> dict[str, Any]:
    """A run and its steps; texts in it are inert."""
    state = run_state(row)
    found = {
        "id": plain_line(row["id"]),
        "configuration": plain_line(row["configuration"]),
        "state": LETTERS.get(state, "i"),
        "started": row["started_at"],
        "ended": row["ended_at"],
        "cancels": row["cancels"],
        "steps": [
            {
                "name": step["name"],
                "status": step["status"],
                "started": step["started_at"],
                "ended": step["ended_at"],
                "message": plain_line(step["message"]),
            }
            for step in store.steps(row["id"])
        ],
    }
    if state == "running":
        history = {
            **store.history.step_seconds(),
            **store.history.step_seconds(row["configuration"]),
        }
        found["usual"] = usual(history)
    return found


def _last_seen(request: Request) -> int:
    """Where a browser that lost the connection was; -1 for one that begins."""
    text = request.headers.get("last-event-id", "")
    return int(text) if text.isdecimal() and len(text) < 16 else -1


def _encoded(name: str, document: Any, position: int | None) -> str:
    """One event (HTML Living Standard, 9.2.6); JSON has no line breaks of its own."""
    where = "" if position is None else f"id: {position}\n"
    return f"{where}event: {name}\ndata: {json.dumps(document)}\n\n"
