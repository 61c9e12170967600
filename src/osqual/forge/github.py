"""GitHub, by its REST API (version 2022-11-28); GitHub Enterprise has the same one."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from osqual.forge.base import CommitStatus, rewrite_ours, shortened
from osqual.rest import Api

PUBLIC_API = "https://api.github.com"
DESCRIPTION_LIMIT = 140


def github_headers(token: str) -> dict[str, str]:
    """What every request carries."""
    return {
        "Accept": "application/vnd.github+json",
        "Authorization": f"Bearer {token}",
        "X-GitHub-Api-Version": "2022-11-28",
    }


@dataclass(frozen=True, kw_only=True)
class GitHub:
    """See `forge.base.Forge`. `repository` is `owner/name`."""

    api: Api
    repository: str

    def set_status(self, commit: str, status: CommitStatus) -> None:
        """A commit status."""
        body = {
            "state": status.state.value,
            "context": status.context,
            "description": shortened(status.description, DESCRIPTION_LIMIT),
        }
        if status.url:
            body["target_url"] = status.url
        self.api.call("POST", f"{self._repository}/statuses/{commit}", body=body)

    def update_comment(self, change: int, marker: str, write: Callable[[str | None], str]) -> bool:
        """A pull request's comments are those of the issue with its number."""
        path = f"{self._repository}/issues/{change}/comments"

        def place(comment: Mapping[str, Any]) -> str:
            return f"{self._repository}/issues/comments/{comment['id']}"

        written = rewrite_ours(
            self.api.pages(path),
            marker,
            write,
            lambda comment, text: self._say("PATCH", place(comment), text),
            lambda comment: self._say("DELETE", place(comment)),
        )
        if written is None:
            self._say("POST", path, write(None))
        return written is not False

    def _say(self, method: str, place: str, text: str | None = None) -> None:
        self.api.call(method, place, body=None if text is None else {"body": text})

    @property
    def _repository(self) -> str:
        return f"/repos/{quote(self.repository)}"
