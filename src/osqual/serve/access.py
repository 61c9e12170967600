"""Who may look and who may act: names of this server, sessions, requests of other sites."""

import hmac
import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path

from starlette.requests import Request

from osqual.errors import UsageError

COOKIE = "osqual_session"
SESSION_S = 12 * 3600
MAX_SESSIONS = 1000
MIN_TOKEN = 16
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
OPEN_PATHS = ("/sign-in", "/assets/")
"""What is shown to somebody who has not signed in: how to, and nothing of the catalogue."""


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches the address."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def checked_token(token: str, source: str) -> str:
    """A token that is not guessed at once. Raises UsageError."""
    token = token.strip()
    if len(token) < MIN_TOKEN:
        raise UsageError(
            f"The token in {source} is shorter than {MIN_TOKEN} characters.",
            resolution="make one: python3 -c 'import secrets; print(secrets.token_urlsafe())'",
        )
    return token


def own_token(path: Path) -> str:
    """The token of this machine's user, made on first use; only that user can read it."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(32) + "\n")
    return checked_token(path.read_text(), str(path))


@dataclass(kw_only=True)
class Access:
    """The rules of one server. Sessions are forgotten when it ends."""

    token: str
    open_to_read: bool
    """Whether looking needs no sign-in; acting always does."""
    names: Iterable[str] = LOOPBACK_NAMES
    """Names and addresses under which a browser may ask for this server."""
    secure: bool = False
    """Whether it speaks TLS: the cookie is then never sent without."""
    clock: Callable[[], float] = time.time
    _sessions: dict[str, float] = field(default_factory=dict)

    def refusal(self, request: Request) -> str | None:
        """Why a request is not even looked at: a name that is not ours, or another site's page."""
        host = request.headers.get("host", "")
        name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
        if name.lower() not in {known.lower() for known in self.names}:
            return "This server is not known by that name (`osqual serve --name`)."
        if self._from_elsewhere(request):
            return "Another site's page asked for this."
        return None

    def _from_elsewhere(self, request: Request) -> bool:
        """Whether a page of another origin asks. To follow a link to a page is nobody's harm."""
        headers = request.headers
        site = headers.get("sec-fetch-site")
        reads = request.method in ("GET", "HEAD")
        if reads and headers.get("sec-fetch-mode") == "navigate":
            return headers.get("sec-fetch-dest") not in (None, "document")
        if site is not None and site not in ("same-origin", "none"):
            return True
        if reads or site == "same-origin":
            return False
        # An older browser, or one without TLS: what acts has an Origin all the same.
        here = f"{'https' if self.secure else 'http'}://{headers['host']}"
        return headers.get("origin") != here

    def may_read(self, request: Request) -> bool:
        """Whether the pages are shown."""
        return self.open_to_read or self.signed_in(request)

    def signed_in(self, request: Request) -> bool:
        """Whether the request has the cookie of a session that is not over."""
        return self._sessions.get(request.cookies.get(COOKIE, ""), 0.0) > self.clock()

    def sign_in(self, token: str) -> str | None:
        """A new session for whoever knows the token."""
        if not hmac.compare_digest(token.strip().encode(), self.token.encode()):
            return None
        now = self.clock()
        living = sorted((until, key) for key, until in self._sessions.items() if until > now)
        self._sessions = {key: until for until, key in living[-MAX_SESSIONS + 1 :]}
        session = secrets.token_urlsafe(32)
        self._sessions[session] = now + SESSION_S
        return session

    def sign_out(self, request: Request) -> None:
        """End the session of the request."""
        self._sessions.pop(request.cookies.get(COOKIE, ""), None)
