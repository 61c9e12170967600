"""The recipe: the digest of everything that determines a built image, each input listed by name."""

import hashlib
import json
import posixpath
import stat
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from osqual.errors import InvalidInput
from osqual.model import Recipe
from osqual.templates.template import PackerTemplate, interpolate, referenced_files, user_variables

# Keys of a builder that say what the image is called, who may build it, or what it is built from
# (the base image is an input of its own): the same image comes out whatever they hold.
_NOT_IN_THE_IMAGE = frozenset(
    {
        "access_key",
        "ami_description",
        "ami_name",
        "image_name",
        "iso_checksum",
        "iso_checksum_type",
        "iso_url",
        "iso_urls",
        "name",
        "output_directory",
        "profile",
        "run_tags",
        "run_volume_tags",
        "secret_key",
        "shared_credentials_file",
        "snapshot_tags",
        "source_ami",
        "spot_tags",
        "tags",
        "token",
        "vm_name",
    }
)
_CHUNK = 1 << 16
_BUILDER_FILES = ("user_data_file", "http_directory")


def recipe_of(
    template: PackerTemplate,
    base_images: Mapping[str, str],
    find_file: Callable[[str], Path],
    digest_path: Callable[[Path], str] | None = None,
) -> Recipe:
    """The recipe of a template with its base image and files.

    `find_file` resolves a path written in the template, as in BuildRequest; `digest_path` may
    remember what it read before. The product's release is not an input: configurations that
    differ in it alone share the recipe. Raises InvalidInput for a file that is missing.
    """
    digest_path = digest_path or digest_of_path
    inputs = {
        "base": digest_of(base_of(template, base_images)),
        "template": digest_of(normalised_template(template)),
    }
    uploads = set(_uploads(template))
    for name in files_of(template):
        path, normal = find_file(name), normal_path(name)
        inputs[f"file:{normal}"] = digest_path(path)
        if name in uploads and _is_executable(path):  # an upload keeps the permission
            inputs[f"executable:{normal}"] = digest_of(True)
    return Recipe(digest=digest_of(inputs), inputs=inputs)


def files_of(template: PackerTemplate) -> tuple[str, ...]:
    """Every local file or directory the build reads, with variables put in, as written else."""
    written = [*referenced_files(template)]
    written += [str(template.builder[key]) for key in _BUILDER_FILES if template.builder.get(key)]
    return tuple(dict.fromkeys(_resolved(name, template) for name in written))


def _uploads(template: PackerTemplate) -> tuple[str, ...]:
    only_files = [entry for entry in template.provisioners if entry["type"] == "file"]
    data = {**template.data, "provisioners": only_files}
    uploads = referenced_files(PackerTemplate(data=data, source=template.source))
    return tuple(_resolved(name, template) for name in uploads)


def _resolved(text: str, template: PackerTemplate) -> str:
    if "{{" not in text:
        return text
    variables = user_variables(template, {})
    try:
        return interpolate(
            text,
            {
                "user": lambda name: variables[name or ""],
                "template_dir": lambda _: ".",
            },
        )
    except KeyError as error:
        raise InvalidInput(f"{template.source}: {text!r} uses an unknown variable.") from error


def base_of(template: PackerTemplate, base_images: Mapping[str, str]) -> Mapping[str, Any]:
    """What the image is built on: region to base image, for the region that it is built in.

    The nearest base_images.json decides; what it does not say comes from the template.
    """
    builder = template.builder
    region = build_region(template)
    if region in base_images:
        return {region: base_images[region]}
    own = ("source_ami", "iso_url", "iso_urls", "iso_checksum")
    written = {key: builder[key] for key in own if key in builder}
    if written:
        return {
            key: _resolved(v, template) if isinstance(v, str) else v for key, v in written.items()
        }
    return dict(base_images)


def build_region(template: PackerTemplate) -> str:
    """The region in which the template builds: of the cloud, or `local`."""
    return _resolved(str(template.builder.get("region", "local")), template)


def normalised_template(template: PackerTemplate) -> Mapping[str, Any]:
    """What of a template determines the image: names, descriptions, tags, credentials,
    post-processors and comments are out, and so are variables that nothing left refers to.
    """
    builder = {k: v for k, v in template.builder.items() if k not in _NOT_IN_THE_IMAGE}
    normal = {
        "builder": builder,
        "provisioners": [_normal_provisioner(entry) for entry in template.provisioners],
    }
    text = json.dumps(normal)
    used = {name: v for name, v in template.variables.items() if f"`{name}`" in text}
    return {**normal, "variables": used}


def _normal_provisioner(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    normal = {key: value for key, value in entry.items() if key != "name"}
    paths = ("script", "scripts", "source", "sources")
    if entry["type"] == "shell" or (
        entry["type"] == "file" and entry.get("direction") != "download"
    ):
        normal.update({key: _normal_paths(normal[key]) for key in paths if key in normal})
    return normal


def _normal_paths(value: Any) -> Any:
    if isinstance(value, list):
        return [_normal_paths(item) for item in value]
    return normal_path(value) if isinstance(value, str) else value


def normal_path(path: str) -> str:
    """`./a.sh` and `a.sh` are one file; a trailing slash means something to uploads and stays."""
    return posixpath.normpath(path) + ("/" if path.endswith("/") and path.strip("/.") else "")


def _is_executable(path: Path) -> bool:
    mode = path.stat().st_mode
    return stat.S_ISREG(mode) and bool(mode & 0o100)


def digest_of_path(path: Path, ignored: Collection[str] = ()) -> str:
    """sha256 of a file's content, or of a directory's names and contents. Raises InvalidInput.

    `ignored` are names, at any depth, that do not count.
    """
    try:
        if not path.is_dir():
            return _digest_of_file(path)
        listing = {}
        for inner in sorted(path.rglob("*")):
            relative = inner.relative_to(path)
            if ignored and not set(relative.parts).isdisjoint(ignored):
                continue
            if inner.is_symlink():
                listing[relative.as_posix()] = f"link:{inner.readlink()}"
            elif inner.is_file():
                kind = "x" if _is_executable(inner) else "-"
                listing[relative.as_posix()] = f"{kind}:{_digest_of_file(inner)}"
            elif not inner.is_dir():
                raise InvalidInput(f"{inner} is neither a file nor a directory.")
        return digest_of(listing)
    except OSError as error:
        raise InvalidInput(f"Cannot read {path}.", details=str(error)) from error


def digest_of_product(directory: Path) -> str:
    """sha256 of a product definition with its scripts and tests, without what running them left."""
    return digest_of_path(directory, ignored=("__pycache__", ".pytest_cache"))


def _digest_of_file(path: Path) -> str:
    if not path.is_file():
        raise InvalidInput(f"{path} is not a regular file.")
    with path.open("rb") as stream:
        head = stream.read(_CHUNK)
        if len(head) < _CHUNK:
            return hashlib.sha256(head).hexdigest()
        stream.seek(0)
        return hashlib.file_digest(stream, "sha256").hexdigest()


def digest_of(value: Any) -> str:
    """sha256 of a JSON value, whatever the order of its keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
