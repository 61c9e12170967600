"""REST over HTTP: what comes back is either JSON or one of our errors.

A token goes into a header and nowhere else: not into a URL, an error or a log.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from itertools import count
from typing import Any

import httpx

from osqual import __version__
from osqual.errors import PublishFailed, TransientError

TIMEOUT_S = 30.0
PAGE = 100
_TRY_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
_LATEST_WAIT_S = 3600.0


class RequestRefused(PublishFailed):
    """The service does not do it, and will not do it the next time either."""


@dataclass(frozen=True, kw_only=True)
class Api:
    """One service. Its URL and `headers` may hold a token."""

    base_url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False, default_factory=dict)
    who: str = "The forge"
    """Who is spoken of in errors."""
    plain_answers: bool = False
    """It may answer with anything: only whether it took the request counts."""
    setting: str = "forge.api"
    """The setting that says where it is."""

    @cached_property
    def _client(self) -> httpx.Client:
        """Connections are closed after each answer: minutes may pass before the next."""
        return httpx.Client(
            headers={"User-Agent": f"osqual/{__version__}", **self.headers},
            timeout=TIMEOUT_S,
            limits=httpx.Limits(max_keepalive_connections=0),
        )

    def call(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, str | int] | None = None,
    ) -> Any:
        """The answer's JSON, None when it has none. Raises RequestRefused or TransientError."""
        what = f"{method} {path}"
        try:
            answer = self._client.request(
                method, f"{self.base_url.rstrip('/')}{path}", json=body, params=query
            )
        except httpx.HTTPError as error:
            raise TransientError(
                f"{self.who} cannot be reached ({what}).",
                details=f"{type(error).__name__}: {error}",
                resolution=f"look at the network and at {self.setting} in osqual.yaml",
            ) from error
        except httpx.InvalidURL as error:
            raise RequestRefused(
                f"{self.who} has no URL that can be used.",
                resolution=f"correct {self.setting} in osqual.yaml",
            ) from error
        self._check(answer, what)
        if self.plain_answers:
            return None
        try:
            return answer.json() if answer.content else None
        except ValueError as error:
            raise TransientError(
                f"{self.who} answered {what} with something else than JSON.",
                details=answer.text[:300],
            ) from error

    def pages(
        self, path: str, query: Mapping[str, str | int] | None = None
    ) -> Iterator[dict[str, Any]]:
        """What a list holds, page by page as GitHub and GitLab count them; raises as `call`."""
        for page in count(1):
            asked = {**(query or {}), "per_page": PAGE, "page": page}
            found = self.call("GET", path, query=asked)
            yield from found
            if len(found) < PAGE:
                return

    def _check(self, answer: httpx.Response, what: str) -> None:
        if answer.is_success:
            return
        brief = f"{self.who} answered {what} with {answer.status_code} {answer.reason_phrase}."
        said = _message(answer)
        if answer.status_code in _TRY_AGAIN or _is_rate_limit(answer):
            raise TransientError(brief, details=said, retry_after_s=retry_after_s(answer.headers))
        raise RequestRefused(
            brief,
            details=said,
            resolution=f"check the token's permissions, and {self.setting.partition('.')[0]} in "
            "osqual.yaml",
        )


def _is_rate_limit(answer: httpx.Response) -> bool:
    """GitHub says 403 for its rate limits too."""
    limited = answer.headers.get("x-ratelimit-remaining") == "0" or "retry-after" in answer.headers
    return answer.status_code == 403 and (limited or "rate limit" in answer.text.lower())


def retry_after_s(headers: Mapping[str, str], now: datetime | None = None) -> float:
    """How long the forge asks to be left alone, in seconds; 0 when it does not say.

    `Retry-After` is a number of seconds or a date (RFC 9110); GitHub's `X-RateLimit-Reset` is a
    time since the epoch.
    """
    now = now or datetime.now(UTC)
    value = headers.get("retry-after", "").strip()
    wait = 0.0
    try:
        if value.isascii() and value.isdecimal():
            wait = float(value)
        elif value:
            wait = (parsedate_to_datetime(value) - now).total_seconds()
        elif headers.get("x-ratelimit-remaining") == "0":
            wait = float(headers.get("x-ratelimit-reset", "0")) - now.timestamp()
    except (ValueError, TypeError, OverflowError):
        return 0.0
    return min(max(wait, 0.0), _LATEST_WAIT_S)


def _message(answer: httpx.Response) -> str:
    """What the forge says is wrong, in its own words."""
    try:
        document = answer.json()
        message = str(document.get("message") or document.get("error") or "")
    except (ValueError, AttributeError):
        return answer.text[:300]
    return "\n".join(filter(None, (message, str(document.get("errors", "")))))[:1000]
