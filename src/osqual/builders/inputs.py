"""What the layered builder reads from a template: options, provisioners, and what it refuses."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from osqual.builders.functions import live_functions, stable_functions
from osqual.builders.keys import content_keys
from osqual.builders.options import BUILDER, USE_PACKER, QemuOptions, read_options
from osqual.builders.provisioners import FileProvisioner, Provisioner, read_provisioners
from osqual.errors import InvalidInput, Problem, Unusable
from osqual.formats.spelling import did_you_mean
from osqual.templates.template import (
    Function,
    PackerTemplate,
    interpolate_tree,
    refuse_together,
    user_variables,
)

ROOT_KEYS = (
    "builders", "provisioners", "post-processors", "variables", "sensitive-variables",
    "description", "min_packer_version", "error-cleanup-provisioner", "push",
)  # fmt: skip

# Post-processors that change or move nothing that osqual publishes.
_HARMLESS_POST_PROCESSORS = ("manifest", "checksum", "compress", "artifice")


MIN_SECRET = 6
"""Shorter lines of a longer secret, such as a brace, are everywhere and tell nothing."""


@dataclass(frozen=True, kw_only=True)
class BuildInputs:
    """A template, read. `stable` provisioners make the keys, `live` ones are run."""

    options: QemuOptions
    stable: tuple[Provisioner, ...]
    live: tuple[Provisioner, ...]
    secrets: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def layered_count(self) -> int:
        """How many provisioners may be skipped or stored: those before the first download."""
        for index, provisioner in enumerate(self.stable):
            if isinstance(provisioner, FileProvisioner) and provisioner.direction == "download":
                return index
        return len(self.stable)

    def content_keys(self, root: str, find_file: Callable[[str], Path]) -> tuple[str, ...]:
        """The content key of the base and after each provisioner."""
        return content_keys(root, self.stable, find_file)


def read_inputs(
    template: PackerTemplate, environ: Mapping[str, str], started: datetime
) -> BuildInputs:
    """Read and check a `qemu` template; Unusable has all that cannot be built in layers."""
    if template.builder_type != "qemu":
        raise InvalidInput(
            f"{template.source}: the layered builder builds `qemu` templates, "
            f"not {template.builder_type!r}.",
            resolution=USE_PACKER,
        )
    variables = user_variables(template, environ)
    name = str(template.builder.get("name") or template.builder_type)
    live = live_functions(variables, name, started)
    parts: tuple[Callable[[], object], ...] = (
        partial(_check_root, template),
        partial(_read_options, template, live),
        partial(read_provisioners, template, name, live),
    )
    refuse_together(template.source, [*filter(None, map(_refusal, parts))])
    return BuildInputs(
        options=_read_options(template, live),
        stable=read_provisioners(template, name, stable_functions(variables, name)),
        live=read_provisioners(template, name, live),
        secrets=sensitive_values(template, environ),
        warnings=_warnings(template),
    )


def _refusal(read: Callable[[], object]) -> Unusable | None:
    """Why a part of a template cannot be used: all parts are told of, not only the first."""
    try:
        read()
    except Unusable as refusal:
        return refusal
    return None


def sensitive_values(template: PackerTemplate, environ: Mapping[str, str]) -> tuple[str, ...]:
    """The values of the variables that the template calls sensitive."""
    variables = user_variables(template, environ)
    names = template.data.get("sensitive-variables") or []
    return _secrets(variables.get(name, "") for name in names)


def _secrets(values: Iterable[str]) -> tuple[str, ...]:
    """What may not stand in a log, which is looked at line by line: each line of a key counts.

    The longest first, because one may be part of another.
    """
    found = set[str]()
    for value in values:
        lines = [line.strip() for line in value.splitlines()]
        found.update(line for line in lines if len(line) >= (MIN_SECRET if len(lines) > 1 else 1))
    return tuple(sorted(found, key=lambda text: (-len(text), text)))


def _read_options(template: PackerTemplate, functions: Mapping[str, Function]) -> QemuOptions:
    """The builder's options; the supported ones interpolated, the others do not matter."""
    fields = {name: partial(_refuse_field, name) for name in _QEMUARGS_FIELDS}
    options = dict(template.builder)
    for key in QemuOptions.model_fields.keys() & options.keys():
        try:
            options[key] = interpolate_tree(options[key], {**functions, **fields})
        except InvalidInput as error:
            problem = Problem((*BUILDER, key), error.brief)
            raise Unusable(
                f"{template.source}: {problem}",
                [problem],
                details=error.details,
                resolution=error.resolution,
            ) from error
    return read_options(options, template.source)


_QEMUARGS_FIELDS = (".HTTPIP", ".HTTPPort", ".HTTPDir", ".OutputDir", ".Name", ".SSHHostPort")


def _refuse_field(name: str, _: str | None) -> str:
    raise InvalidInput(
        f"{{{{{name}}}}} says something about Packer's own set-up.", resolution=USE_PACKER
    )


def _check_root(template: PackerTemplate) -> None:
    for key in template.data:
        if key not in ROOT_KEYS and not key.startswith("_"):
            words = f"unknown key{did_you_mean(key, ROOT_KEYS)}"
            problem = Problem((key,), words)
            raise Unusable(f"{template.source}: {problem}.", [problem], details="")
    for kind in _post_processors(template.data.get("post-processors", [])):
        if kind not in _HARMLESS_POST_PROCESSORS:
            words = f"the layered builder has no post-processor {kind!r}"
            raise Unusable(
                f"{template.source}: {words}.",
                [Problem(("post-processors",), words)],
                details=f"It has manifest; it leaves out {', '.join(_HARMLESS_POST_PROCESSORS)}.",
                resolution=f"remove it, or {USE_PACKER}",
            )


def _post_processors(entries: Any) -> list[str]:
    """The types of the post-processors, in any of the three forms they are written in."""
    kinds: list[str] = []
    for entry in entries if isinstance(entries, list) else [entries]:
        if isinstance(entry, list):
            kinds += _post_processors(entry)
        else:
            kinds.append(str(entry.get("type", "") if isinstance(entry, dict) else entry))
    return kinds


def _warnings(template: PackerTemplate) -> tuple[str, ...]:
    found = []
    if len(template.data["builders"]) > 1:
        found.append(f"{template.source}: only the first of several builders is built")
    if "error-cleanup-provisioner" in template.data:
        found.append(f"{template.source}: error-cleanup-provisioner is not run: nothing is kept")
    for kind in _post_processors(template.data.get("post-processors", [])):
        if kind != "manifest":
            found.append(f"{template.source}: the post-processor {kind!r} is left out")
    return tuple(found)
