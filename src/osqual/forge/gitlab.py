"""GitLab, by its REST API (v4)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import quote

from osqual.forge.base import CommitStatus, State, shortened, write_our_comment
from osqual.forge.rest import Api

PUBLIC_API = "https://gitlab.com/api/v4"
DESCRIPTION_LIMIT = 255
# GitLab has no state for what is nobody's fault; a job that could not run is failed there.
STATES: Mapping[State, str] = {
    State.PENDING: "pending",
    State.SUCCESS: "success",
    State.FAILURE: "failed",
    State.ERROR: "failed",
}


def gitlab_headers(token: str) -> dict[str, str]:
    """What every request carries."""
    return {"PRIVATE-TOKEN": token}


@dataclass(frozen=True, kw_only=True)
class GitLab:
    """See `forge.base.Forge`. `repository` is the project's whole path."""

    api: Api
    repository: str

    def set_status(self, commit: str, status: CommitStatus) -> None:
        """A status of the commit, outside of any pipeline."""
        body = {
            "state": STATES[status.state],
            "name": status.context,
            "description": shortened(status.description, DESCRIPTION_LIMIT),
        }
        if status.url:
            body["target_url"] = status.url
        self.api.call("POST", f"{self._project}/statuses/{commit}", body=body)

    def update_comment(self, change: int, marker: str, write: Callable[[str | None], str]) -> bool:
        """Comments of a merge request are its notes."""
        path = f"{self._project}/merge_requests/{change}/notes"
        return write_our_comment(
            self.api,
            path,
            marker,
            write,
            verb="PUT",
            place=lambda note: f"{path}/{note['id']}",
            query={"sort": "asc"},
        )

    @property
    def _project(self) -> str:
        return f"/projects/{quote(self.repository, safe='')}"
