"""The effective template: what stock Packer is given, made from a configuration's template.

Pure: values in, a JSON document out. The tracked template is never changed.
"""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from osqual.builders.cleaning import shutdown_command
from osqual.templates.template import PackerTemplate

# Another switch than Packer's own -drive, which one in qemuargs would replace.
_SEED_SWITCH = "-cdrom"

# Options by which a template logs in by itself; the seed's key is then left out.
_OWN_LOGIN = ("ssh_password", "ssh_private_key_file", "ssh_agent_auth")


@dataclass(frozen=True, kw_only=True)
class QemuSurroundings:
    """What this machine and this run put into a `qemu` template."""

    base: Path
    base_sha256: str
    accelerator: str
    """`kvm` or `tcg`, as probed."""
    cpu: str
    """qemu's -cpu for it."""
    private_key: Path
    seed_iso: Path | None
    seed_fw_cfg: Mapping[str, Path]
    output_directory: Path


@dataclass(frozen=True, kw_only=True)
class Looks:
    """What cleans the machine of a build and looks at it, beside the template's provisioners."""

    clean_script: Path
    clean_variable: tuple[str, str]
    collect_script: Path
    """The script that takes inventories, and where the two of them go."""
    base_inventory: Path
    image_inventory: Path


def effective_template(
    template: PackerTemplate,
    builder: Mapping[str, Any],
    *,
    locate: Callable[[str], Path],
    manifest: Path,
    first_provisioners: tuple[Mapping[str, Any], ...] = (),
    last_provisioners: tuple[Mapping[str, Any], ...] = (),
) -> dict[str, Any]:
    """The template with this builder only, absolute paths, and one manifest in the run directory.

    `builder` is the first builder, completed for its platform; `locate` turns a path as written,
    actions and all, into the file it means; `first_` and `last_provisioners` are added.
    """
    document = copy.deepcopy(dict(template.data))
    document["builders"] = [dict(builder)]
    document["provisioners"] = [
        *first_provisioners,
        *(_with_absolute_paths(entry, locate) for entry in template.provisioners),
        *last_provisioners,
    ]
    document["post-processors"] = [
        *_without_manifest(document.get("post-processors", [])),
        {"type": "manifest", "output": str(manifest)},
    ]
    return document


def qemu_builder(template: PackerTemplate, around: QemuSurroundings) -> dict[str, Any]:
    """The template's builder, completed so that it starts from the base image on this machine."""
    builder = dict(template.builder)
    for name in ("iso_url", "iso_urls", "iso_checksum", "iso_checksum_type", "iso_checksum_url"):
        builder.pop(name, None)
    user = str(builder.get("ssh_username", ""))
    builder |= {
        "iso_url": str(around.base),
        "iso_checksum": f"sha256:{around.base_sha256}",
        "disk_image": True,
        "headless": True,
        "accelerator": around.accelerator,
        "output_directory": str(around.output_directory),
        "qemuargs": [*_arguments(builder), *_seed_arguments(around, builder)],
    }
    builder.setdefault("disk_discard", "unmap")
    builder.setdefault("shutdown_command", shutdown_command(user))
    if not any(builder.get(name) for name in _OWN_LOGIN):
        builder["ssh_private_key_file"] = str(around.private_key)
    return builder


def clean_provisioner(looks: Looks) -> dict[str, Any]:
    """The cleaning of the layered builder, as the last provisioner."""
    name, value = looks.clean_variable
    return {
        "type": "shell",
        "script": str(looks.clean_script),
        "environment_vars": [f"{name}={value}"],
        "execute_command": "{{.Vars}} sh {{.Path}}",
    }


# In the machine's memory, so that nothing of it is in the image.
_COLLECTED = "/dev/shm/osqual-inventory"  # noqa: S108
_COLLECTING = "/dev/shm/osqual-collect.sh"  # noqa: S108


def first_look(looks: Looks) -> tuple[dict[str, Any], ...]:
    """The provisioners that take the inventory of the base."""
    return (
        _collect(looks, "live disk", new=True),
        _fetch(looks.base_inventory),
    )


def last_look(looks: Looks) -> tuple[dict[str, Any], ...]:
    """The provisioners that clean the machine, and take its inventory around that."""
    return (
        _collect(looks, "live", new=True),
        clean_provisioner(looks),
        _collect(looks, "disk secrets"),
        _fetch(looks.image_inventory),
    )


def _collect(looks: Looks, parts: str, *, new: bool = False) -> dict[str, Any]:
    script = f"sh {{{{.Path}}}} {parts} {'>' if new else '>>'}{_COLLECTED}"
    return {
        "type": "shell",
        "script": str(looks.collect_script),
        "remote_path": _COLLECTING,
        "execute_command": f'if [ "$(id -u)" = 0 ]; then {script}; else sudo -n {script}; fi',
    }


def _fetch(destination: Path) -> dict[str, Any]:
    return {
        "type": "file",
        "direction": "download",
        "source": _COLLECTED,
        "destination": str(destination),
    }


def _arguments(builder: Mapping[str, Any]) -> list[list[str]]:
    return [[str(word) for word in words] for words in builder.get("qemuargs") or []]


def _seed_arguments(around: QemuSurroundings, builder: Mapping[str, Any]) -> list[list[str]]:
    """Packer keeps every pair of a switch that it does not set itself."""
    arguments = [
        ["-fw_cfg", f"name={name},file={str(path).replace(',', ',,')}"]
        for name, path in sorted(around.seed_fw_cfg.items())
    ]
    if around.seed_iso is not None:
        arguments.append([_SEED_SWITCH, str(around.seed_iso)])
    if around.cpu and not any(words and words[0] == "-cpu" for words in _arguments(builder)):
        arguments.append(["-cpu", around.cpu])
    return arguments


def _with_absolute_paths(entry: Mapping[str, Any], locate: Callable[[str], Path]) -> dict[str, Any]:
    """The provisioner with the local files that it reads as absolute paths."""

    def absolute(written: Any) -> Any:
        if isinstance(written, list):
            return [absolute(item) for item in written]
        if not isinstance(written, str) or not written:
            return written
        return f"{locate(written)}/" if written.endswith("/") else str(locate(written))

    names = _path_options(entry)
    return {name: absolute(value) if name in names else value for name, value in entry.items()}


def _path_options(entry: Mapping[str, Any]) -> tuple[str, ...]:
    """The options of a provisioner that name local files which exist before the build."""
    if entry["type"] == "shell":
        return ("script", "scripts")
    if entry["type"] == "file" and entry.get("direction") != "download":
        return () if entry.get("generated") else ("source", "sources")
    return ()


def local_files(template: PackerTemplate) -> tuple[str, ...]:
    """Every local file of the `shell` and `file` provisioners, as written."""
    found: dict[str, None] = {}
    for entry in template.provisioners:
        for name in _path_options(entry):
            value = entry.get(name) or []
            found.update(dict.fromkeys([value] if isinstance(value, str) else value))
    return tuple(found)


def _without_manifest(entries: Any) -> list[Any]:
    """The post-processors but for `manifest`, whose file would land in the catalogue."""
    kept: list[Any] = []
    for entry in entries:
        if isinstance(entry, list):
            inner = _without_manifest(entry)
            kept += [inner] if inner else []
        elif (entry.get("type") if isinstance(entry, dict) else entry) != "manifest":
            kept.append(entry)
    return kept
