"""The layered builder: every provisioner's result is kept, and a build starts from the deepest.

Nothing changed: the finished image is found and no machine starts. docs/adr/0006-layers.md.
"""

import os
import time
import uuid
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from osqual.bases.image import BaseImage
from osqual.bases.resolve import cached_base, check_base, resolve_base
from osqual.builders.base import BuildRequest
from osqual.builders.build_vm import MAC, BuildVm, MachineShape, boot, end, restore
from osqual.builders.cleaning import clean_digest, clean_script, key_variable, shutdown_command
from osqual.builders.disk_chain import DiskChain
from osqual.builders.identity import build_identity
from osqual.builders.images import REGION, ImageStore, Inventories
from osqual.builders.inputs import BuildInputs, read_inputs
from osqual.builders.inspection import (
    base_inventory_path,
    collect,
    known_secrets,
    read_base_inventory,
)
from osqual.builders.keys import image_key, layer_key, root_key
from osqual.builders.layers import LAYER, Layer, LayerStore
from osqual.builders.locks import wait_for
from osqual.builders.provisioners import describe
from osqual.builders.provisioning import run_provisioner
from osqual.builders.room import machine_room
from osqual.builders.workshop import Workshop
from osqual.cancellation import Cancellation
from osqual.effects.scope import OwnedResource, RunScope
from osqual.errors import (
    BuildFailed,
    CommandFailed,
    InfrastructureError,
    Interrupted,
    InvalidInput,
    OsqualError,
)
from osqual.events import EventKind
from osqual.inventory.collecting import pack
from osqual.model import Image
from osqual.processes.process import find_program, format_command, tail, write_atomic
from osqual.qemu.acceleration import probe
from osqual.qemu.disk import convert, create_overlay
from osqual.room import Room
from osqual.settings import Settings
from osqual.teardown import LOCAL_KINDS, Kinds, end_resources, set_aside, short_lived
from osqual.templates.template import PackerTemplate

NAME = "layered"
BUILD_DIRECTORY = "build"
BUILD_KINDS: Kinds = {**LOCAL_KINDS, "layer": LAYER}
CLEAN_TIMEOUT_S = 600.0


class LayeredBuilder:
    """Builds `qemu` templates in a machine of its own, layer upon layer."""

    def validate(self, request: BuildRequest, scope: RunScope) -> None:
        """Refuse what cannot be built, before anything is started. Raises InvalidInput."""
        inputs = read_inputs(request.template, os.environ, datetime.now(UTC))
        check_base(base_reference(request), relative_to=base_directory(request), scope=scope)
        inputs.content_keys("", request.find_file)
        for program in ("qemu-system-x86_64", "qemu-img", "ssh", "ssh-keygen"):
            find_program(program)
        for warning in inputs.warnings:
            scope.warn(warning)

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
        if base is None:
            return None
        inputs = read_inputs(request.template, os.environ, datetime.now(UTC))
        contents = inputs.content_keys(root_key(base.digest, inputs.options), request.find_file)
        return ImageStore(scope.settings.directories.data).find(_image_key(contents, inputs))

    def release(self, template: PackerTemplate, image: Image, scope: RunScope) -> None:
        """Nothing: an image on this machine is its owner's."""

    def build(self, request: BuildRequest, scope: RunScope) -> Image:
        """Build the image, or find what the same inputs built before. Raises BuildFailed."""
        found = self.find(request, scope)
        if found is not None:
            return found
        inputs = read_inputs(request.template, os.environ, datetime.now(UTC))
        base = resolve_base(
            base_reference(request), relative_to=base_directory(request), scope=scope
        )
        contents = inputs.content_keys(root_key(base.digest, inputs.options), request.find_file)
        key = _image_key(contents, inputs)
        images = ImageStore(scope.settings.directories.data)
        images.prepare()
        with wait_for(images.lock_path(key), scope, "another run that builds the same image"):
            found = None if request.cold else images.find(key)
            if found is not None:
                return found
            start_over(scope)
            build = _Build(request=request, scope=scope, inputs=inputs, base=base, root=contents[0])
            return build.run(contents, images, key)


def start_over(scope: RunScope) -> None:
    """End what a build of this run that was killed left; its logs are set aside."""
    directory = scope.directory / BUILD_DIRECTORY
    if directory.exists():
        end_resources(scope, BUILD_KINDS, steps={scope.step})
        set_aside(directory)


def _image_key(contents: Sequence[str], inputs: BuildInputs) -> str:
    return image_key(
        contents[-1],
        builder=NAME,
        cleaning=clean_digest(),
        shutdown_command=inputs.options.shutdown_command,
    )


def base_reference(request: BuildRequest) -> str:
    """The base image of the region `local`. Raises InvalidInput when there is none."""
    if REGION not in request.base_images:
        regions = ", ".join(sorted(request.base_images)) or "none"
        raise InvalidInput(
            f"{request.configuration.path} has no base image for the region {REGION!r}.",
            details=f"base_images.json has: {regions}.",
            resolution='add "local": "debian:bookworm" (or another image) to base_images.json',
        )
    return request.base_images[REGION]


def base_directory(request: BuildRequest) -> Path:
    """Where relative paths in base_images.json start."""
    return request.base_directory or request.configuration.directory


@dataclass(kw_only=True)
class _Build:
    """One build that has to run. What it starts is ended by `run`."""

    request: BuildRequest
    scope: RunScope
    inputs: BuildInputs
    base: BaseImage
    root: str
    """The content key of the booted base."""
    base_inventory: str = ""
    kept: bool = False

    @property
    def directory(self) -> Path:
        return self.scope.directory / BUILD_DIRECTORY

    @cached_property
    def disks(self) -> DiskChain:
        store = LayerStore(self.scope.settings.directories.cache)
        return DiskChain(scope=self.scope, store=store, plain=self.directory / "disk.qcow2")

    def run(self, contents: Sequence[str], images: ImageStore, key: str) -> Image:
        self.directory.mkdir(parents=True, exist_ok=True)
        options = self.inputs.options
        if not options.skip_resize_disk and options.disk_size < self.base.virtual_size:
            raise InvalidInput(
                f"disk_size ({options.disk_size >> 20}M) is smaller than the base image "
                f"({self.base.virtual_size >> 20}M).",
                resolution="raise disk_size in the template, or set skip_resize_disk",
            )
        identity = build_identity(self.scope)
        with ExitStack() as stack:
            # It holds a private key; a machine that is kept has read it already.
            seed = self.directory / "seed"
            stack.enter_context(short_lived("key", "build seed", seed, self.scope))
            shape = MachineShape(
                options=options,
                acceleration=probe(self.scope.settings, self.scope.cancellation),
                identity=identity,
                seed=identity.seed(options.ssh_username, MAC, seed),
            )
            self.scope.progress(shape.acceleration.words)
            self.disks.keys = self._layer_keys(contents, shape)
            disk = self.scope.own("disk", "build disk", path=str(self.disks.plain))
            stack.callback(self._discard_disk, disk)
            stack.callback(self.disks.drop)
            self._know_base(shape)
            position, build = self._start(shape, stack)
            stack.callback(self._end, build)
            try:
                self._provision(build, position)
                inventory = self._finish(build, identity.public_key)
            except OsqualError as error:
                self._keep(build, error)
                raise
            self.scope.progress("compressing the image")
            finished = stack.enter_context(images.unfinished(key, self.scope))
            convert(self.disks.top, finished, cancellation=self.scope.cancellation)
            inventories = Inventories(image=inventory, base=self.base_inventory)
            return images.add(key, finished, self._record(), inventories)

    def _layer_keys(self, contents: Sequence[str], shape: MachineShape) -> tuple[str, ...]:
        mode = self.scope.settings.qemu.layers
        if self.request.cold or mode == "off":
            return ()
        flavour = shape.memory_flavour() if mode == "ram" else shape.disk_flavour()
        usable = contents[: self.inputs.layered_count + 1]
        return tuple(layer_key(content, flavour) for content in usable)

    # What the base holds

    @property
    def _base_inventory_path(self) -> Path:
        return base_inventory_path(self.scope.settings.directories.cache, self.root)

    def _know_base(self, shape: MachineShape) -> None:
        """Find what the base held; layers that are older than that are asked, the lowest first.

        Without any, the base is booted anyway, and is looked at then.
        """
        known = None if self.request.cold else read_base_inventory(self._base_inventory_path)
        if known is not None:
            self.base_inventory = known
            return
        keys = self.disks.keys
        with ExitStack() as holds:
            found = self.disks.store.deepest(keys[:1], holds)
            if found is None:
                return
            try:
                build = self._continue(*found, shape)
            except Interrupted:
                raise
            except (InfrastructureError, OSError):
                self.scope.cancellation.check()
                self.disks.keys = ()  # so the base is booted
            else:
                holds.callback(end, build)
                self._look_at_base(build)
                self.disks.keys = keys
        self.disks.drop()

    def _look_at_base(self, build: BuildVm) -> None:
        self.scope.progress("looking at what the base image holds")
        self.base_inventory = collect(build, "live", "disk")
        self._base_inventory_path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(self._base_inventory_path, pack(self.base_inventory))

    # Start

    def _start(self, shape: MachineShape, stack: ExitStack) -> tuple[int, BuildVm]:
        """A running machine, and how many provisioners its state holds already."""
        while True:
            keys = self.disks.keys
            with ExitStack() as holds:
                found = self.disks.store.deepest(keys, holds)
                if found is None:
                    return 0, self._boot_base(shape)
                position, layer = found
                try:
                    build = self._continue(position, layer, shape)
                except Interrupted:
                    raise
                except (InfrastructureError, OSError) as error:
                    self.scope.cancellation.check()
                    self.scope.warn(f"the layer {layer.title!r} cannot be used: {error}")
                    self.disks.drop()
                    self.disks.keys = keys
                else:
                    stack.push(holds.pop_all())
                    return position, build
            if not self.disks.store.remove(layer.key):
                self.disks.keys = ()  # somebody else uses what does not work here

    def _continue(self, position: int, layer: Layer, shape: MachineShape) -> BuildVm:
        how = "from memory" if layer.ram else "from disk"
        self.scope.progress(
            f"continuing {how} after {position} of {len(self.inputs.live)} provisioners",
            layer=layer.key,
        )
        disk = self.disks.begin(position + 1, above=layer.disk)
        create_overlay(disk, layer.disk, cancellation=self.scope.cancellation)
        if layer.ram is None:
            return boot(shape, disk, self.directory, self.scope)
        return restore(shape, disk, layer.ram, self.directory, self.scope)

    def _boot_base(self, shape: MachineShape) -> BuildVm:
        self.scope.progress(f"booting {self.base.reference}")
        disk = self.disks.begin(0, above=self.base.path)
        options = self.inputs.options
        create_overlay(
            disk,
            self.base.path,
            backing_format=self.base.format,
            size=None if options.skip_resize_disk else options.disk_size,
            cancellation=self.scope.cancellation,
        )
        build = boot(shape, disk, self.directory, self.scope)
        try:
            if not self.base_inventory:
                self._look_at_base(build)
            self.disks.checkpoint(build, 0, f"{self.base.reference}, booted")
        except BaseException:
            end(build)
            raise
        return build

    # Provisioners

    def _provision(self, build: BuildVm, position: int) -> None:
        shop = Workshop(
            machine=build.machine,
            watch=build.vm.check,
            find_file=self.request.find_file,
            directory=self.directory,
            build_name=self.inputs.options.build_name,
            secrets=self.inputs.secrets,
        )
        for number, provisioner in enumerate(self.inputs.live[position:], start=position + 1):
            self.scope.cancellation.check()
            run_provisioner(provisioner, number, shop, self.scope)
            self.disks.checkpoint(build, number, f"{number}: {describe(provisioner)}")

    def _finish(self, build: BuildVm, public_key: str) -> str:
        """Clean the machine, look at what it holds and switch it off; its inventory.

        From cleaning on nobody new can log in. What runs is looked at before it is stopped.
        """
        live = collect(build, "live")
        self.scope.progress("cleaning the machine")
        script = self.directory / "clean.sh"
        write_atomic(script, clean_script())
        name, value = key_variable(public_key)
        try:
            build.machine.run(
                ["sh", "-s"],
                sudo=build.sudo,
                env={name: value},
                stdin=script,
                timeout_s=CLEAN_TIMEOUT_S,
            )
        except CommandFailed as error:
            raise BuildFailed(
                "The machine could not be cleaned.",
                details=error.details,
                resolution="ssh_username must be root, or may use sudo without a password",
            ) from error
        self.scope.progress("looking at what the image holds")
        secrets = known_secrets(self.inputs.secrets, os.environ)
        disk = collect(build, "disk", "secrets", secrets=secrets)
        options = self.inputs.options
        command = options.shutdown_command or shutdown_command(options.ssh_username)
        build.power_off(command, options.shutdown_timeout)
        return live + disk

    # End

    def _keep(self, build: BuildVm, error: OsqualError) -> None:
        """Leave the machine of a failed build, when that was asked for."""
        interrupted = self.scope.cancellation.cancelled or isinstance(error, Interrupted)
        if not self.request.keep_on_failure or interrupted or not build.vm.is_alive():
            return
        self.kept = True
        error.details = "\n".join(
            [
                *([error.details] if error.details else []),
                f"The machine is kept (process {build.vm.pid}). Get in with:",
                f"  {format_command(build.machine.ssh_argv())}",
            ]
        )

    def _end(self, build: BuildVm) -> None:
        if self.kept:
            build.machine.close()
        else:
            end(build)
            # Its last words are evidence; its sockets and memory are not.
            console = tail(build.vm.console_tail(), 1)
            self.scope.emit(EventKind.RESOURCE, "the build machine has ended", console=console)

    def _discard_disk(self, owned: OwnedResource) -> None:
        if not self.kept:
            self.disks.plain.unlink(missing_ok=True)
            owned.ended()

    def _record(self) -> dict[str, object]:
        """This build as an entry of Packer's manifest; the store adds the artifact's id."""
        return {
            "name": self.inputs.options.build_name,
            "builder_type": "qemu",
            "build_time": int(time.time()),
            "files": None,
            "artifact_id": "",
            "packer_run_uuid": str(uuid.uuid4()),
        }
