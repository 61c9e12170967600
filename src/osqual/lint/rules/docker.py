"""OSQ303-305: the docker that scripts install against the one in the directory's name."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from osqual.formats.versions import compare_versions
from osqual.lint.finding import Found, error, warning
from osqual.lint.places import at_command
from osqual.lint.shell import Command, Script
from osqual.lint.view import Leaf, View

_INSTALL = re.compile(
    r"(?:^|[\s;&|(])(?:yum|dnf|microdnf|apt|apt-get|zypper|rpm|tdnf)\s(?P<rest>.*)", re.DOTALL
)
_PACKAGE = re.compile(
    r"(?:\S*/)?(?P<name>docker-ce|docker-ee|docker-engine|docker\.io|moby-engine|docker)"
    r"(?P<cli>-cli)?"
    r"(?:(?:-|=)(?P<epoch>[0-9]+:)?(?P<version>[0-9]+\.[0-9]+(?:\.[0-9]+)?)(?P<rest>[^0-9\s]\S*)?)?"
)
_EDITIONS: Mapping[str, str] = {"docker-ce": "ce", "docker-ee": "ee"}
_NUMBERS = re.compile(r"[0-9]+\.[0-9]+(?:\.[0-9]+)?")
_SCRIPT_INSTALLER = re.compile(r"https?://get\.docker\.com\b")


@dataclass(frozen=True, kw_only=True)
class Install:
    """A package of docker that a script installs. An empty version: whichever there is."""

    script: Script
    command: Command
    package: str
    version: str

    @property
    def is_cli(self) -> bool:
        """Whether it is only the command line."""
        return self.package.endswith("-cli")

    @property
    def edition(self) -> str:
        """`ce`, `ee`, or empty when the package does not tell."""
        return _EDITIONS.get(self.package.removesuffix("-cli"), "")


def docker_installs(view: View, leaf: Leaf) -> Iterator[Install]:
    """Every docker package that the configuration's scripts install."""
    for script in view.scripts(leaf):
        if "docker" not in script.text:
            continue
        for command in script.commands:
            if not command.body and "docker" in command.text:
                yield from _installs(script, command)


def _installs(script: Script, command: Command) -> Iterator[Install]:
    text = script.expand(command.text)
    if _SCRIPT_INSTALLER.search(text):
        pinned = re.search(r"VERSION=[\"']?([0-9][0-9.]*)", text)
        version = pinned[1] if pinned else ""
        yield Install(script=script, command=command, package="get.docker.com", version=version)
    for match in _INSTALL.finditer(text):
        words = re.split(r"\s+", re.split(r"[;&|)]", match["rest"])[0].strip())
        if "install" not in words and not any(word.startswith("-i") for word in words[:1]):
            continue
        for word in words:
            package = _PACKAGE.fullmatch(word.strip("\"'"))
            if package is not None:
                name = package["name"] + (package["cli"] or "")
                yield Install(
                    script=script, command=command, package=name, version=package["version"] or ""
                )


def wrong_docker(view: View) -> Iterator[Found]:
    """Docker versions or editions that are not the directory's."""
    for leaf in view.leaves:
        wanted = leaf.dimensions.get("docker", "")
        numbers = _NUMBERS.match(wanted)
        for install in docker_installs(view, leaf) if numbers else ():
            if install.version and numbers and compare_versions(install.version, numbers[0]):
                message = f"installs docker {install.version}, but the directory says {wanted}"
                yield at_command(view, leaf, install.script, install.command, message)
            elif _other_edition(install.edition, wanted):
                message = f"installs {install.package}, but the directory says {wanted}"
                yield at_command(view, leaf, install.script, install.command, message)


def _other_edition(edition: str, wanted: str) -> bool:
    named = wanted.rpartition("-")[2]
    return bool(edition) and named in _EDITIONS.values() and named != edition


def unpinned_docker(view: View) -> Iterator[Found]:
    """Docker in whichever version the repository has that day."""
    for leaf in view.leaves:
        if "docker" not in leaf.dimensions:
            continue
        for install in docker_installs(view, leaf):
            if not install.version and "$" not in install.script.expand(install.command.text):
                message = f"{install.package} is not pinned: say which version to install"
                yield at_command(view, leaf, install.script, install.command, message)


def engine_and_cli(view: View) -> Iterator[Found]:
    """A docker command line of another version than the engine."""
    for leaf in view.leaves:
        installs = [item for item in docker_installs(view, leaf) if item.version]
        engines = [item for item in installs if not item.is_cli]
        for cli in (item for item in installs if item.is_cli):
            if engines and all(compare_versions(cli.version, e.version) for e in engines):
                message = f"installs {cli.package} {cli.version} beside the engine "
                message += f"{engines[-1].version}"
                yield at_command(view, leaf, cli.script, cli.command, message)


RULES = (
    error("OSQ303", "Docker of another version", wrong_docker),
    warning("OSQ304", "Docker is not pinned", unpinned_docker),
    error("OSQ305", "Docker engine and command line differ", engine_and_cli),
)
