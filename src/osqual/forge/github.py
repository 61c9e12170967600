"""GitHub, by its REST API (version 2022-11-28); GitHub Enterprise has the same one."""

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote

from osqual.forge.base import CommitStatus, shortened, write_our_comment
from osqual.forge.rest import Api

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
        ones = f"{self._repository}/issues/comments"
        return write_our_comment(
            self.api,
            path,
            marker,
            write,
            verb="PATCH",
            place=lambda comment: f"{ones}/{comment['id']}",
        )

    @property
    def _repository(self) -> str:
        return f"/repos/{quote(self.repository)}"
