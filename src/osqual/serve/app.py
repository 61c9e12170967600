"""The server as an ASGI application: pages from disk, what runs do as events, and who may act."""

import mimetypes
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import parse_qs

import anyio
from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import (
    FileResponse,
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
)
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from osqual.errors import NotFound, OsqualError, StateLocked, UsageError
from osqual.serve.access import COOKIE, OPEN_PATHS, SESSION_S, Access
from osqual.serve.actions import Actions
from osqual.serve.live_site import HEADER_POLICY, LiveSite
from osqual.serve.stream import Streams

MAX_FORM_BYTES = 4096
WRONG_TOKEN_S = 1.0
"""How long a wrong token is thought about."""
_PAGE = re.compile(r"/[a-z-]+\.html")
HEADERS: Mapping[str, str] = {
    "content-security-policy": HEADER_POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    # Data files are scripts: no page of another origin may load them.
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-cache",
}


@dataclass(frozen=True, kw_only=True)
class Guard:
    """In front of everything: refuses what is not for this server, and adds what answers need."""

    app: ASGIApp
    access: Access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or hand it on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        answer = self._answer(Request(scope)) or self.app
        await answer(scope, receive, send_with_headers)

    def _answer(self, request: Request) -> Response | None:
        refusal = self.access.refusal(request)
        if refusal is not None:
            return PlainTextResponse(f"{refusal}\n", 403)
        path = request.url.path
        if self.access.may_read(request) or path.startswith(OPEN_PATHS):
            return None
        if path == "/" or _PAGE.fullmatch(path):
            return RedirectResponse(f"/sign-in?next={path}", 303)
        return PlainTextResponse("Sign in first.\n", 401)


@dataclass(frozen=True, kw_only=True)
class Server:
    """What the routes answer."""

    access: Access
    site: LiveSite
    actions: Actions

    def application(self) -> Starlette:
        """All of it."""
        streams = Streams(site=self.site, store=self.actions.store)
        return Starlette(
            routes=[
                Route("/sign-in", self.sign_in, methods=["GET", "POST"]),
                Route("/sign-out", self.sign_out, methods=["POST"]),
                Route("/live/me", self.me),
                Route("/live/runs", streams.runs),
                Route("/live/runs/{run}", streams.run),
                Route("/live/runs/{run}/file", streams.file),
                Route("/live/runs/{run}/cancel", self.cancel, methods=["POST"]),
                Route("/live/runs/{run}/rerun", self.rerun, methods=["POST"]),
                Route("/{path:path}", self.page),
            ],
            middleware=[
                Middleware(_guarded, access=self.access),
                Middleware(GZipMiddleware, minimum_size=1000, compresslevel=5),
            ],
            exception_handlers={OsqualError: told},
        )

    async def page(self, request: Request) -> Response:
        """A file of the site as it is now."""
        return await run_in_threadpool(self._file, request.path_params["path"] or "index.html")

    def _file(self, name: str) -> Response:
        root = self.site.root.resolve()
        path = (root / name).resolve()
        if not path.is_relative_to(root) or not path.is_file():
            return PlainTextResponse("There is no such page.\n", 404)
        kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        return FileResponse(path, media_type=kind)

    async def me(self, request: Request) -> Response:
        """Whether the reader may act."""
        return JSONResponse({"signedIn": self.access.signed_in(request)})

    async def sign_in(self, request: Request) -> Response:
        """The form, and what it sends: the token, in the body and nowhere else."""
        target = _target(request.query_params.get("next", ""))
        if request.method == "GET":
            return HTMLResponse(_sign_in_page(target, wrong=False))
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_FORM_BYTES:
                return PlainTextResponse("That is no token.\n", 413)
        form = parse_qs(body.decode(errors="replace"))
        session = self.access.sign_in(form.get("token", [""])[0])
        if session is None:
            await anyio.sleep(WRONG_TOKEN_S)
            return HTMLResponse(_sign_in_page(target, wrong=True), 403)
        answer = RedirectResponse(target, 303)
        answer.set_cookie(
            COOKIE,
            session,
            max_age=SESSION_S,
            httponly=True,
            samesite="strict",
            secure=self.access.secure,
        )
        return answer

    async def sign_out(self, request: Request) -> Response:
        """End the session."""
        self.access.sign_out(request)
        answer = RedirectResponse("/", 303)
        answer.delete_cookie(COOKIE, httponly=True, samesite="strict", secure=self.access.secure)
        return answer

    async def cancel(self, request: Request) -> Response:
        """Ask a run to stop."""
        return await self._act(request, self.actions.cancel)

    async def rerun(self, request: Request) -> Response:
        """Begin a run on the image of another."""
        return await self._act(request, self.actions.rerun)

    async def _act(self, request: Request, act: Any) -> Response:
        if not self.access.signed_in(request):
            return JSONResponse({"error": "Sign in first."}, 401)
        return JSONResponse(await run_in_threadpool(act, request.path_params["run"]), 202)


def _guarded(app: ASGIApp, access: Access) -> Guard:
    return Guard(app=app, access=access)


async def told(_request: Request, error: Exception) -> Response:
    """An expected error as JSON."""
    known: Mapping[type[Exception], int] = {NotFound: 404, UsageError: 409, StateLocked: 409}
    return JSONResponse({"error": str(error)}, known.get(type(error), 503))


def _target(wanted: str) -> str:
    """A page of this server to go on to, never another address."""
    return wanted if _PAGE.fullmatch(wanted) else "/"


def _sign_in_page(target: str, *, wrong: bool) -> str:
    return _sign_in_template().render(target=target, wrong=wrong, policy=HEADER_POLICY)


@cache
def _sign_in_template() -> Template:
    environment = Environment(
        loader=PackageLoader("osqual.serve"), autoescape=True, undefined=StrictUndefined
    )
    return environment.get_template("sign-in.html.jinja")
