"""Images in the cloud: `amazon-ebs` templates, built by stock Packer.

An image is known by the digest of its recipe, which is a tag: what was built before, by whatever
process and even if that died before it could tell, is found and not built again.
"""

import json
import os
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from osqual.aws import preflight
from osqual.aws.images import CloudImage, find_built, make_public
from osqual.aws.reaper import left_of_run, reap_run
from osqual.aws.session import endpoint_of
from osqual.aws.tags import run_tags
from osqual.builders.ami_template import (
    BUILDER_TYPE,
    ami_builder,
    base_image,
    build_regions,
    check_template,
    is_public,
    option,
)
from osqual.builders.base import BuildRequest
from osqual.builders.images import ImageStore
from osqual.builders.layered import BUILD_DIRECTORY
from osqual.builders.locks import wait_for
from osqual.builders.packer import locate
from osqual.builders.packer_run import (
    build_template,
    can_go_on,
    install_plugins,
    validate_template,
)
from osqual.builders.packer_template import effective_template, local_files
from osqual.cancellation import Cancellation
from osqual.effects.scope import RunScope
from osqual.errors import BuildFailed, InvalidInput, OsqualError
from osqual.model import Image
from osqual.processes.process import find_program, write_atomic
from osqual.recipe import build_region
from osqual.room import Room
from osqual.settings import Settings
from osqual.store.database import Row
from osqual.teardown import LOCAL_KINDS, ResourceKind, end_resources, set_aside
from osqual.templates.template import PackerTemplate
from osqual.templates.template_hcl import PLUGINS

KIND = "cloud"


class AmiBuilder:
    """Builds `amazon-ebs` templates with the `packer` program."""

    def validate(self, request: BuildRequest, scope: RunScope) -> None:
        """Template, files, program, then what the account says. Nothing is started."""
        template = request.template
        if template.builder_type != BUILDER_TYPE:
            raise InvalidInput(f"{template.source} is not a template for {BUILDER_TYPE!r}.")
        check_template(template, os.environ)
        for name in local_files(template):
            locate(request)(name)
        base = base_image(request)
        find_program("packer")
        region = build_region(template)
        preflight.check_region(region)
        if base:
            preflight.check_base_image(
                region,
                base,
                allow_deprecated=scope.settings.aws.allow_deprecated_bases,
                now=datetime.now(UTC),
            )
        kind = option(template, str(template.builder.get("instance_type", "")), os.environ)
        preflight.check_types_offered(region, [kind] if kind else [])
        if request.keep_on_failure:
            scope.warn("Packer ends the machine of a failed build; it cannot be kept")

    def room(self, request: BuildRequest, settings: Settings, cancellation: Cancellation) -> Room:
        """Packer alone; its machine is elsewhere."""
        return Room(memory_mb=150)

    def find(self, request: BuildRequest, scope: RunScope) -> Image | None:
        """The image of the same recipe that is there in every region. Only asks."""
        if request.cold:
            return None
        found = find_built(build_regions(request.template, os.environ), request.recipe.digest)
        return None if found is None else _found_image(found)

    def build(self, request: BuildRequest, scope: RunScope) -> Image:
        """Build, or find what was built from the same recipe. Raises BuildFailed."""
        lock = ImageStore(scope.settings.directories.data).lock_path(request.recipe.digest)
        with wait_for(lock, scope, "another run that builds the same image"):
            return self.find(request, scope) or _build(request, scope)

    def release(self, template: PackerTemplate, image: Image, scope: RunScope) -> None:
        """Grant the public launch permission that the template asks for, in every region."""
        if not is_public(template) or scope.settings.aws.public_at_build:
            return
        for region, image_id in image.ids.items():
            make_public(region, image_id, scope.cancellation.sleep)
            scope.progress(f"{image_id} in {region} is public now")


def _found_image(found: Mapping[str, CloudImage]) -> Image:
    ids = {region: image.image_id for region, image in found.items()}
    first = next(iter(found.values()))
    record = {
        "name": BUILDER_TYPE,
        "builder_type": BUILDER_TYPE,
        "build_time": int(first.created.timestamp()),
        "files": None,
        "artifact_id": ",".join(f"{region}:{ids[region]}" for region in sorted(ids)),
        "packer_run_uuid": str(uuid.uuid5(uuid.NAMESPACE_URL, f"ami:{first.image_id}")),
    }
    return Image(ids=ids, reused=True, build_record=record)


def _build(request: BuildRequest, scope: RunScope) -> Image:
    directory = scope.directory / BUILD_DIRECTORY
    if not can_go_on(directory):
        _start_over(directory, scope)
    directory.mkdir(parents=True, exist_ok=True)
    region = build_region(request.template)
    manifest, template = directory / "manifest.json", directory / "packer.json"
    with scope.resource(KIND, f"build in {region}", region=region, run=scope.run_id) as owned:
        owned.created(scope.run_id)
        try:
            if not template.exists():
                _write_template(request, manifest, template, scope)
                install_plugins(request.template.data.get(PLUGINS, {}), directory, scope)
                scope.progress("packer validate")
                validate_template(template, scope, {})
            scope.progress("packer build")
            entry = build_template(template, manifest, scope, {})
        except BaseException:
            with suppress(OsqualError):  # the row then stays, and names it
                _end_rest(region, scope)
                owned.ended()
            raise
        _end_rest(region, scope)
    return Image(ids=_ids(entry), build_record=_record(entry))


def _write_template(request: BuildRequest, manifest: Path, template: Path, scope: RunScope) -> None:
    builder = ami_builder(
        request,
        base=base_image(request),
        run_tags=run_tags(scope.run_id, time.time(), scope.settings.expire_after_s),
        public_at_build=scope.settings.aws.public_at_build,
        endpoint=endpoint_of("ec2"),
    )
    document = effective_template(
        request.template, builder, locate=locate(request), manifest=manifest
    )
    write_atomic(template, json.dumps(document, indent=2) + "\n", mode=0o600)


def _start_over(directory: Path, scope: RunScope) -> None:
    """End what a build of this run that was killed left; its logs are set aside."""
    if directory.exists():
        end_resources(scope, {**LOCAL_KINDS, KIND: CLOUD}, steps={scope.step})
        set_aside(directory)


def _end_rest(region: str, scope: RunScope) -> None:
    """Packer ends its machine itself; one that was killed could not."""
    shielded = scope.shielded(300.0, "ending what the build left")
    found = reap_run(region, scope.run_id, shielded.cancellation)
    if found:
        scope.warn(f"left by the build and ended: {', '.join(found)}")


def _is_there(row: Row) -> bool:
    return bool(left_of_run(row["details"]["region"], row["details"]["run"]))


def _end(row: Row, scope: RunScope) -> None:
    reap_run(row["details"]["region"], row["details"]["run"], scope.cancellation)


CLOUD = ResourceKind(is_there=_is_there, end=_end, anywhere=True)
"""What Packer makes for a build: its machine, and what belongs to that."""


def _ids(entry: Mapping[str, Any]) -> dict[str, str]:
    pairs = [part.partition(":") for part in str(entry["artifact_id"]).split(",")]
    ids = {region: image for region, colon, image in pairs if colon and image}
    if not ids:
        raise BuildFailed("Packer's manifest names no image.", details=str(entry))
    return ids


def _record(entry: Mapping[str, Any]) -> dict[str, Any]:
    """The entry without what later Packers add."""
    names = ("name", "builder_type", "build_time", "artifact_id", "packer_run_uuid")
    return {**{name: entry[name] for name in names}, "files": None}
