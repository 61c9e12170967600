"""Which forge there is to tell: by settings, by the job of continuous integration, by token."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from osqual.ci.surroundings import CiJob
from osqual.errors import InvalidInput
from osqual.forge import github, gitlab
from osqual.forge.base import Forge
from osqual.forge.rest import Api
from osqual.settings import ForgeSettings


@dataclass(frozen=True, kw_only=True)
class ForgeKind:
    """How one kind of forge is reached. `tokens` are environment variables, the first one wins."""

    public_api: str
    tokens: tuple[str, ...]
    headers: Callable[[str], dict[str, str]]
    open: Callable[[Api, str], Forge]


FORGES: Mapping[str, ForgeKind] = {
    "github": ForgeKind(
        public_api=github.PUBLIC_API,
        tokens=("OSQUAL_FORGE_TOKEN", "GITHUB_TOKEN", "GH_TOKEN"),
        headers=github.github_headers,
        open=lambda api, repository: github.GitHub(api=api, repository=repository),
    ),
    "gitlab": ForgeKind(
        public_api=gitlab.PUBLIC_API,
        tokens=("OSQUAL_FORGE_TOKEN", "GITLAB_TOKEN"),
        headers=gitlab.gitlab_headers,
        open=lambda api, repository: gitlab.GitLab(api=api, repository=repository),
    ),
}


def open_forge(
    settings: ForgeSettings, job: CiJob | None, environ: Mapping[str, str]
) -> Forge | None:
    """The forge to tell; None where there is none, or no token to speak with.

    Raises InvalidInput when the settings ask for one that cannot be reached so.
    """
    asked = settings.kind not in ("auto", "none")
    name = settings.kind if asked else job.system if job is not None else ""
    if settings.kind == "none" or name not in FORGES:
        return None
    kind = FORGES[name]
    token = next((environ[name] for name in kind.tokens if environ.get(name)), "")
    same = job is not None and job.system == name
    repository = settings.repository or (job.repository if job is not None and same else "")
    if asked and not (token and repository):
        raise InvalidInput(
            f"forge.kind is {name}, and {'its token' if repository else 'the repository'} "
            "is not known.",
            resolution=f"set one of {', '.join(kind.tokens)}, and forge.repository in osqual.yaml",
        )
    if not token or not repository:
        return None
    own = job.api if job is not None and same else ""
    base = settings.api or own or kind.public_api
    return kind.open(Api(base_url=base, headers=kind.headers(token)), repository)
