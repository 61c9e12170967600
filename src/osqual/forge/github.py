"""GitHub, by its REST API (version 2022-11-28); GitHub Enterprise has the same one."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from osqual.forge.base import CommitStatus
from osqual.rest import Api, RequestRefused

PUBLIC_API = "https://api.github.com"
DESCRIPTION_LIMIT = 140
_PAGE = 100


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

    def update_comment(self, change: int, marker: str, write: Callable[[str | None], str]) -> None:
        """A pull request's comments are those of the issue with its number."""
        for comment in self._comments(change):
            if str(comment.get("body", "")).startswith(marker):
                path = f"{self._repository}/issues/comments/{comment['id']}"
                try:
                    self.api.call("PATCH", path, body={"body": write(comment["body"])})
                except RequestRefused:
                    continue  # somebody else's, who quotes ours
                return
        path = f"{self._repository}/issues/{change}/comments"
        self.api.call("POST", path, body={"body": write(None)})

    @property
    def _repository(self) -> str:
        return f"/repos/{quote(self.repository)}"

    def _comments(self, change: int) -> Iterator[dict[str, Any]]:
        path, page = f"{self._repository}/issues/{change}/comments", 1
        while True:
            found = self.api.call("GET", path, query={"per_page": _PAGE, "page": page})
            yield from found
            if len(found) < _PAGE:
                return
            page += 1


def shortened(text: str, limit: int) -> str:
    """The text in one line of at most so many characters."""
    line = " ".join(text.split())
    return line if len(line) <= limit else f"{line[: limit - 1]}…"
