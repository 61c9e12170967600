"""`--builder packer`: the same template, base and cleaning, built by stock Packer."""

import json
import os
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from osqual.bases.image import BaseImage
from osqual.bases.resolve import cached_base, check_base, resolve_base
from osqual.builders.base import BuildRequest
from osqual.builders.cleaning import SCRIPT_NAME, clean_digest, clean_script, key_variable
from osqual.builders.functions import live_functions
from osqual.builders.identity import BuildIdentity, build_identity
from osqual.builders.images import ImageStore, Inventories
from osqual.builders.inputs import sensitive_values
from osqual.builders.inspection import known_secrets, not_inspected
from osqual.builders.keys import digest_of, digest_tree
from osqual.builders.layered import (
    BUILD_DIRECTORY,
    base_directory,
    base_reference,
    start_over,
)
from osqual.builders.locks import wait_for
from osqual.builders.packer_run import (
    build_template,
    can_go_on,
    install_plugins,
    validate_template,
)
from osqual.builders.packer_template import (
    Looks,
    QemuSurroundings,
    effective_template,
    first_look,
    last_look,
    local_files,
    qemu_builder,
)
from osqual.builders.room import machine_room
from osqual.cancellation import Cancellation
from osqual.effects.scope import RunScope
from osqual.errors import BuildFailed, InvalidInput
from osqual.inventory.collecting import collect_script
from osqual.inventory.facts import whole
from osqual.model import Image
from osqual.processes.process import find_program, write_atomic
from osqual.qemu.acceleration import probe
from osqual.qemu.disk import convert
from osqual.room import Room
from osqual.settings import Settings
from osqual.teardown import short_lived
from osqual.templates.template import PackerTemplate, interpolate, user_variables
from osqual.templates.template_hcl import PLUGINS

NAME = "packer"
COLLECT_NAME = "collect.sh"
IMAGE_INVENTORY, BASE_INVENTORY = "image.inventory", "base.inventory"

# Packer names no address for its network card, so QEMU gives it that of a first one.
MAC = "52:54:00:12:34:56"

# A template that uses one of these reads files that a key would have to follow.
_READS_MORE = ("http_directory", "floppy_files", "floppy_dirs", "cd_files", "ssh_private_key_file")


class PackerBuilder:
    """Builds `qemu` templates with the `packer` program."""

    def validate(self, request: BuildRequest, scope: RunScope) -> None:
        """Refuse what cannot be built, before anything is started. Raises InvalidInput."""
        template = request.template
        if template.builder_type != "qemu":
            raise InvalidInput(
                f"{template.source}: templates for {template.builder_type!r} cannot be built yet."
            )
        check_base(base_reference(request), relative_to=base_directory(request), scope=scope)
        user_variables(template, os.environ)
        for name in local_files(template):
            locate(request)(name)
        for program in ("packer", "qemu-system-x86_64", "qemu-img", "ssh-keygen"):
            find_program(program)
        if request.keep_on_failure:
            scope.warn("Packer ends the machine of a failed build; it cannot be kept")

    def room(self, request: BuildRequest, settings: Settings, cancellation: Cancellation) -> Room:
        """What the machine takes."""
        return machine_room(request.template, settings, cancellation)

    def find(self, request: BuildRequest, scope: RunScope) -> Image | None:
        """The image that was built before from the same inputs. Starts and writes nothing."""
        if request.cold:
            return None
        base = cached_base(
            base_reference(request), relative_to=base_directory(request), settings=scope.settings
        )
        key = None if base is None else packer_image_key(request, base)
        images = ImageStore(scope.settings.directories.data)
        return None if key is None else images.find(key)

    def build(self, request: BuildRequest, scope: RunScope) -> Image:
        """Build, or find what was built from the same inputs. Raises BuildFailed."""
        found = self.find(request, scope)
        if found is not None:
            return found
        base = resolve_base(
            base_reference(request), relative_to=base_directory(request), scope=scope
        )
        key = packer_image_key(request, base) or digest_of({"run": scope.run_id})
        images = ImageStore(scope.settings.directories.data)
        images.prepare()
        with wait_for(images.lock_path(key), scope, "another run that builds the same image"):
            found = None if request.cold else images.find(key)
            return found or _build(request, base, images, key, scope)

    def release(self, template: PackerTemplate, image: Image, scope: RunScope) -> None:
        """Nothing: an image on this machine is its owner's."""


def locate(request: BuildRequest) -> Callable[[str], Path]:
    """From a path as written in the template, actions and all, to the file it means."""
    template = request.template
    name = str(template.builder.get("name") or template.builder_type)
    variables = user_variables(template, os.environ)
    functions = live_functions(variables, name, datetime.now(UTC))
    return lambda written: request.find_file(interpolate(written, functions))


def packer_image_key(request: BuildRequest, base: BaseImage) -> str | None:
    """The key of what Packer makes of a request; None when it reads files nobody lists."""
    template = request.template
    kinds = {entry["type"] for entry in template.provisioners}
    if kinds - {"shell", "file"} or any(template.builder.get(name) for name in _READS_MORE):
        return None
    find = locate(request)
    return digest_of(
        {
            "builder": NAME,
            "base": base.digest,
            "template": dict(template.data),
            "variables": dict(user_variables(template, os.environ)),
            "files": {name: digest_tree(find(name)) for name in local_files(template)},
            "cleaning": clean_digest(),
        }
    )


def _build(
    request: BuildRequest, base: BaseImage, images: ImageStore, key: str, scope: RunScope
) -> Image:
    directory = scope.directory / BUILD_DIRECTORY
    if not can_go_on(directory):
        start_over(scope)
    directory.mkdir(parents=True, exist_ok=True)
    manifest = directory / "manifest.json"
    template = directory / "packer.json"
    with ExitStack() as stack:
        for kind, name in (
            ("key", "seed"),
            ("disk", "output"),
            ("file", "packer_cache"),
            ("file", COLLECT_NAME),
            ("file", IMAGE_INVENTORY),
            ("file", BASE_INVENTORY),
        ):
            stack.enter_context(short_lived(kind, f"packer {name}", directory / name, scope))
        identity = build_identity(scope)
        around = _surroundings(request, base, identity, directory, scope)
        stack.callback(around.base.unlink, missing_ok=True)
        looks = _looks(request, identity, directory)
        if not template.exists():
            _write_template(request, around, looks, manifest, template)
            install_plugins(request.template.data.get(PLUGINS, {}), directory, scope)
            scope.progress("packer validate")
            validate_template(template, scope, {})
        scope.progress("packer build")
        entry = build_template(template, manifest, scope, {})
        finished = stack.enter_context(images.unfinished(key, scope))
        scope.progress("compressing the image")
        convert(_built_disk(entry, around), finished, cancellation=scope.cancellation)
        inventories = Inventories(
            image=_inventory(looks.image_inventory, "live", "disk", "secrets"),
            base=_inventory(looks.base_inventory, "live", "disk"),
        )
        return images.add(key, finished, _record(entry), inventories)


def _write_template(
    request: BuildRequest, around: QemuSurroundings, looks: Looks, manifest: Path, template: Path
) -> None:
    document = effective_template(
        request.template,
        qemu_builder(request.template, around),
        locate=locate(request),
        manifest=manifest,
        first_provisioners=first_look(looks),
        last_provisioners=last_look(looks),
    )
    write_atomic(template, json.dumps(document, indent=2) + "\n", mode=0o600)


def _surroundings(
    request: BuildRequest,
    base: BaseImage,
    identity: BuildIdentity,
    directory: Path,
    scope: RunScope,
) -> QemuSurroundings:
    user = str(request.template.builder.get("ssh_username") or "root")
    seed = identity.seed(user, MAC, directory / "seed")
    acceleration = probe(scope.settings, scope.cancellation)
    # Packer takes the format of a disk from the file's extension.
    named = directory / f"base.{base.format}"
    named.unlink(missing_ok=True)
    named.symlink_to(base.path)
    return QemuSurroundings(
        base=named,
        base_sha256=base.digest,
        accelerator=acceleration.accelerator,
        cpu=acceleration.cpu_model,
        private_key=identity.ssh.private_key,
        seed_iso=seed.iso,
        seed_fw_cfg=seed.fw_cfg,
        output_directory=directory / "output",
    )


def _looks(request: BuildRequest, identity: BuildIdentity, directory: Path) -> Looks:
    script = directory / SCRIPT_NAME
    write_atomic(script, clean_script())
    secrets = known_secrets(sensitive_values(request.template, os.environ), os.environ)
    write_atomic(directory / COLLECT_NAME, collect_script(secrets), mode=0o600)
    return Looks(
        clean_script=script,
        clean_variable=key_variable(identity.public_key),
        collect_script=directory / COLLECT_NAME,
        base_inventory=directory / BASE_INVENTORY,
        image_inventory=directory / IMAGE_INVENTORY,
    )


def _inventory(path: Path, *parts: str) -> str:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise not_inspected(str(error)) from error
    if not whole(text, *parts):
        raise not_inspected(f"{path} was cut short")
    return text


def _built_disk(entry: Mapping[str, Any], around: QemuSurroundings) -> Path:
    files = [around.output_directory / Path(item["name"]).name for item in entry["files"] or []]
    present = [file for file in files if file.is_file()]
    if not present:
        raise BuildFailed("Packer's manifest names no disk image.", details=str(entry))
    return max(present, key=lambda file: file.stat().st_size)


def _record(entry: Mapping[str, Any]) -> dict[str, Any]:
    """The entry without paths of this machine and without what later Packers add."""
    names = ("name", "builder_type", "build_time", "packer_run_uuid")
    return {**{name: entry[name] for name in names}, "files": None, "artifact_id": ""}
