"""OSQ7xx: what is open to everybody: clusters, images, secrets."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from osqual.lint.finding import Found, error, warning
from osqual.lint.view import View
from osqual.model import PublishPoint

_EVERYBODY = frozenset({"0.0.0.0/0", "::/0", "0/0"})


def open_to_the_world(view: View) -> Iterator[Found]:
    """Administrators' access from every address."""
    files = view.catalogue.conventions.files
    for name in (files.profile, files.old_profile):
        for path in view.known_files(name):
            for variable, value in view.profile(path).items():
                if "admin" in variable.lower() and _is_open(value):
                    yield Found(
                        file=path,
                        line=view.profile_line(path, variable),
                        key=variable,
                        message="lets the whole world reach the cluster as an administrator",
                    )


def _is_open(value: Any) -> bool:
    values = value if isinstance(value, list) else [value]
    return any(isinstance(item, str) and item.strip() in _EVERYBODY for item in values)


# Each has a form of its own, so that a match is hardly ever chance. What documentation uses as an
# example says so in the name.
_SECRETS: Mapping[str, re.Pattern[bytes]] = {
    "an AWS access key": re.compile(rb"(?<![A-Z0-9])(?:AKIA|ASIA)[A-Z2-7]{16}(?![A-Z0-9])"),
    "an AWS secret key": re.compile(
        rb"(?i)aws_?secret_?(?:access_?)?key[\"']?\s*[:=]\s*[\"']?(?P<value>[A-Za-z0-9/+]{40})"
        rb"(?![A-Za-z0-9/+=])"
    ),
    "a private key": re.compile(rb"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY-----"),
    "a GitHub token": re.compile(rb"(?<!\w)(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_\w{60,})"),
    "a Slack token": re.compile(rb"(?<!\w)xox[abposr]-[A-Za-z0-9-]{20,}"),
    "a Google API key": re.compile(rb"(?<!\w)AIza[0-9A-Za-z_-]{35}(?![\w-])"),
    "a Docker subscription": re.compile(
        rb"/sub-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
    ),
    "a password in a URL": re.compile(
        rb"[a-z][a-z0-9+.-]*://[^\s/:@\"'$<>{}]+:(?P<value>[^\s/:@\"'$<>{}*]{3,})@[\w.-]+"
    ),
}
# One pass for all: a file without any of these words holds none of the secrets.
_HINT = re.compile(
    rb"AKIA|ASIA|(?i:secret)|PRIVATE KEY|gh[pousr]_|github_pat_|xox[abposr]-|AIza|/sub-|://[^\s/]*@"
)
_EXAMPLE = re.compile(rb"(?i)example|changeme|password|secret|xxxx|placeholder|dummy")
_MATERIAL = re.compile(
    r"(?i)(?:^|_)(?:password|passwd|secret|secret_key|access_key|private_key|token|api_key)$"
)
_HARMLESS = re.compile(r"(?i)^ssh_password$|^winrm_password$|^vnc_password$")


def credentials(view: View) -> Iterator[Found]:
    """Secrets in files that git keeps, or would keep."""
    scanned: dict[bytes, list[tuple[int, str]]] = {}
    for path in view.contents.paths:
        content = view.contents.content(path)
        if content is None or content.is_binary:
            continue
        if content.digest not in scanned:
            scanned[content.digest] = list(_scan(content.data))
        for line, what in scanned[content.digest]:
            yield Found(
                file=path, line=line, message=f"holds {what}: take it out, and make it invalid"
            )
    yield from _named(view)


def _scan(data: bytes) -> Iterator[tuple[int, str]]:
    if _HINT.search(data) is None:
        return
    for what, pattern in _SECRETS.items():
        for match in pattern.finditer(data):
            value = match.groupdict().get("value") or match[0]
            if what == "a private key" or _EXAMPLE.search(value) is None:
                yield data.count(b"\n", 0, match.start()) + 1, what


def _named(view: View) -> Iterator[Found]:
    """Values that are written out where a variable's name says that they are secret."""
    files = view.catalogue.conventions.files
    for name in (files.profile, files.old_profile):
        for path in view.known_files(name):
            for variable, value in view.profile(path).items():
                if _is_secret(variable, value):
                    line = view.profile_line(path, variable)
                    yield Found(file=path, line=line, key=variable, message=_WRITTEN_OUT)
    for path in view.known_files(files.template):
        template = view.template(path)
        if template is None:
            continue
        places: list[tuple[tuple[str | int, ...], Mapping[str, Any]]] = [
            (("builders", 0), template.builder),
            (("variables",), template.variables),
        ]
        for place, values in places:
            for variable, value in values.items():
                if _is_secret(variable, value):
                    line = view.json_line(path, [*place, variable])
                    yield Found(file=path, line=line, key=variable, message=_WRITTEN_OUT)


_WRITTEN_OUT = "is a secret that is written out: take it from the environment, and make it invalid"


def _is_secret(name: str, value: Any) -> bool:
    return (
        isinstance(value, str)
        and len(value) > 3
        and not any(mark in value for mark in ("{{", "${", "<"))
        and _MATERIAL.search(name) is not None
        and _HARMLESS.search(name) is None
    )


def public_before_test(view: View) -> Iterator[Found]:
    """Images that everybody can start as soon as they are built."""
    for leaf in view.leaves:
        template = view.template(leaf.template)
        config = view.config(leaf.config)
        groups = template.builder.get("ami_groups") if template is not None else None
        after = config.publish_after if config is not None else PublishPoint.DCOS_INSTALLATION
        if "all" in (groups if isinstance(groups, list) else [groups]) and after not in (
            PublishPoint.PACKER_BUILD,
        ):
            yield Found(
                file=leaf.template,
                line=view.json_line(leaf.template, ["builders", 0, "ami_groups"]),
                key="builders[0].ami_groups",
                message="makes the image public when it is built, before anything has tested it",
                configuration=leaf.path,
            )


RULES = (
    warning("OSQ701", "Cluster open to the world", open_to_the_world),
    error("OSQ702", "Credentials in a file", credentials),
    warning("OSQ703", "Image public before it is tested", public_before_test),
)
