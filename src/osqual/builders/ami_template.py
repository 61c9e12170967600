"""The effective template of an `amazon-ebs` build: what stock Packer is given. Pure.

The tracked template is never changed, and no credential is ever in what is written.
"""

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from osqual.aws.tags import BASE, CONFIGURATION, RECIPE
from osqual.errors import InvalidInput, Key, Problem, Unusable
from osqual.formats.spelling import did_you_mean
from osqual.recipe import base_of, build_region
from osqual.templates.template import PackerTemplate, interpolate, user_variables

if TYPE_CHECKING:
    from osqual.builders.base import BuildRequest

BUILDER_TYPE = "amazon-ebs"
# Packer finds credentials as every AWS tool does; with keys from the template it would miss the
# session token of a role.
_CREDENTIALS = ("access_key", "secret_key", "token", "profile", "shared_credentials_file")
_SECRETS = ("access_key", "secret_key", "token")
_USER = re.compile(r"\{\{[^}]*?\buser\s+[`\"]([^`\"]+)[`\"]")
PUBLIC = "all"


class SeveralBuilders(InvalidInput):
    """A template for the cloud has more than one builder."""


class SecretInTemplate(InvalidInput):
    """A template holds a credential itself."""


def check_template(template: PackerTemplate, environ: Mapping[str, str]) -> None:
    """Variables, builders and credentials of a template. Raises InvalidInput.

    Packer 1.6 only warns about a variable that nobody defines.
    """
    if len(template.data["builders"]) > 1:
        raise SeveralBuilders(
            f"{template.source}: there are {len(template.data['builders'])} builders.",
            resolution="leave one: a configuration has one image",
        )
    user_variables(template, environ)
    unknown = {
        name: key for key, name in user_references(template.data) if name not in template.variables
    }
    if unknown:
        raise Unusable(
            f"{template.source} uses variables that it does not define: "
            f"{', '.join(sorted(unknown))}.",
            [
                Problem(
                    key,
                    f"uses the variable {name!r}, which is not defined"
                    f"{did_you_mean(name, template.variables)}",
                )
                for name, key in sorted(unknown.items())
            ],
            resolution="add them to `variables`, with a default",
        )
    for name in _SECRETS:
        value = template.builder.get(name)
        if value and "{{" not in str(value):
            raise SecretInTemplate(
                f"{template.source}: {name} holds a credential.",
                resolution="remove it from the template and from the history, and revoke it: "
                "credentials come from the environment, a profile or a role",
            )


def user_references(value: Any, key: Key = ()) -> Iterator[tuple[Key, str]]:
    """Where a template uses which variable."""
    if isinstance(value, str):
        yield from ((key, name) for name in _USER.findall(value))
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from user_references(inner, (*key, name))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from user_references(inner, (*key, index))


def base_image(request: "BuildRequest") -> str:
    """The base image in the region of the build; empty when the template has its own filter."""
    base = base_of(request.template, request.base_images)
    region = build_region(request.template)
    found = str(base.get(region) or base.get("source_ami") or "")
    if not found and not request.template.builder.get("source_ami_filter"):
        raise InvalidInput(
            f"{request.configuration.path}: there is no base image for {region}.",
            details=f"base_images.json has: {', '.join(request.base_images) or 'nothing'}",
            resolution=f"add {region} to base_images.json (`osqual base update` can)",
        )
    return found


def build_regions(template: PackerTemplate, environ: Mapping[str, str]) -> tuple[str, ...]:
    """Every region that gets the image, the one of the build first."""
    region = build_region(template)
    others = [
        option(template, str(name), environ) for name in template.builder.get("ami_regions") or []
    ]
    return tuple(dict.fromkeys([region, *others]))


def option(template: PackerTemplate, text: str, environ: Mapping[str, str]) -> str:
    """An option of the builder with the template's variables put in."""
    if "{{" not in text:
        return text
    variables = user_variables(template, environ)
    return interpolate(text, {"user": lambda name: variables[name or ""]})


def is_public(template: PackerTemplate) -> bool:
    """Whether the template wants the image to be launched by everybody."""
    groups = template.builder.get("ami_groups") or []
    return PUBLIC in ([groups] if isinstance(groups, str) else groups)


def image_tags(request: "BuildRequest", base: str) -> dict[str, str]:
    """What an image is known by later."""
    return {
        RECIPE: request.recipe.digest,
        BASE: base,
        CONFIGURATION: request.configuration.path,
    }


def ami_builder(
    request: "BuildRequest",
    *,
    base: str,
    run_tags: Mapping[str, str],
    public_at_build: bool,
    endpoint: str | None,
) -> dict[str, Any]:
    """The template's builder, completed: base image, description, tags; without credentials."""
    builder = {
        name: value for name, value in request.template.builder.items() if name not in _CREDENTIALS
    }
    if base:
        builder["source_ami"] = base
        builder.pop("source_ami_filter", None)
    builder["ami_description"] = request.configuration.path
    if not public_at_build and is_public(request.template):
        builder.pop("ami_groups")
    run_id = {name: value for name, value in run_tags.items() if not name.endswith("expires")}
    lasting = {**image_tags(request, base), **run_id}
    for name, tags in (
        ("tags", lasting),
        ("snapshot_tags", lasting),
        ("run_tags", run_tags),
        ("run_volume_tags", run_tags),
    ):
        builder[name] = {**(builder.get(name) or {}), **tags}
    if endpoint is not None:
        builder |= {
            "custom_endpoint_ec2": endpoint,
            "skip_credential_validation": True,
            "skip_metadata_api_check": True,
            "skip_region_validation": True,
        }
    return builder
