"""The provisioners of a template, read and checked: `shell` and `file`, with Packer's meanings.

Defaults and quirks follow Packer 1.6.6. No I/O: running them is in `provisioning`.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from osqual.builders.options import USE_PACKER, Duration
from osqual.errors import InvalidInput, Key, Problem, Unusable, dotted
from osqual.formats.spelling import did_you_mean
from osqual.templates.template import (
    Function,
    PackerTemplate,
    interpolate,
    interpolate_tree,
    refuse_together,
)

# What Packer calls the exit status of a script whose connection was lost.
DISCONNECTED = 2300218

EXECUTE_COMMAND = "chmod +x {{.Path}}; {{.Vars}} {{.Path}}"
EXECUTE_COMMAND_VAR_FILE = "chmod +x {{.Path}}; . {{.EnvVarFile}} && {{.Path}}"

# Keys that Packer takes from any provisioner before the provisioner itself sees its options.
_WRAPPER_KEYS = ("type", "only", "except", "override")

# The one option that may use the fields below.
_LATE_KEYS = ("execute_command",)

# What only the running of a script fills in; until then it stands as a mark no template can hold.
_LATE_FIELDS = (".Vars", ".Path", ".EnvVarFile")


def _mark(field: str) -> str:
    return f"\0{field}\0"


def _marked(field: str, _: str | None) -> str:
    return _mark(field)


def _given(value: str, _: str | None) -> str:
    return value


class _Provisioner(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    pause_before: Duration = 0.0
    timeout: Duration = 0.0
    """0: no limit but the step's."""
    max_retries: int = Field(default=0, ge=0)


class ShellProvisioner(_Provisioner):
    """Scripts that run in the machine, one after the other, each uploaded first."""

    kind: Literal["shell"] = "shell"
    inline: tuple[str, ...] = ()
    script: str = ""
    scripts: tuple[str, ...] = ()
    inline_shebang: str = "/bin/sh -e"
    environment_vars: tuple[str, ...] = ()
    env: Mapping[str, str] = Field(default_factory=dict)
    env_var_format: str = ""
    use_env_var_file: bool = False
    execute_command: str = ""
    binary: bool = False
    valid_exit_codes: tuple[int, ...] = (0,)
    expect_disconnect: bool = False
    start_retry_timeout: Duration = Field(default=300.0, gt=0)
    remote_folder: str = "/tmp"  # noqa: S108 - the guest's, and Packer's default
    remote_file: str = ""
    remote_path: str = ""
    skip_clean: bool = False
    pause_after: Duration = 0.0

    @field_validator("environment_vars")
    @classmethod
    def _key_and_value(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for pair in value:
            if pair.find("=") < 1:
                raise ValueError(f"{pair!r} is not of the form key=value")
        return value

    @field_validator("env_var_format")
    @classmethod
    def _name_and_value(cls, value: str) -> str:
        if value and (value.count("%s") != 2 or value.replace("%s", "").count("%")):
            raise ValueError("must hold %s twice, for the name and the value, and no other %")
        return value

    @field_validator("valid_exit_codes")
    @classmethod
    def _at_least_zero(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        return value or (0,)

    @model_validator(mode="after")
    def _one_source(self) -> "ShellProvisioner":
        given = [name for name in ("inline", "script", "scripts") if getattr(self, name)]
        if len(given) != 1:
            raise ValueError(
                f"exactly one of inline, script and scripts is needed, not {' and '.join(given)}"
                if given
                else "one of inline, script and scripts is needed"
            )
        return self

    @property
    def files(self) -> tuple[str, ...]:
        """The scripts, as written; none for an inline script."""
        return (self.script,) if self.script else self.scripts

    @property
    def inline_script(self) -> str:
        """The script that inline commands make."""
        return "".join([f"#!{self.inline_shebang}\n", *(f"{line}\n" for line in self.inline)])

    def command(self, *, variables: str, path: str, var_file: str = "") -> str:
        """The command line that runs an uploaded script."""
        default = EXECUTE_COMMAND_VAR_FILE if self.use_env_var_file else EXECUTE_COMMAND
        values = dict(zip(_LATE_FIELDS, (variables, path, var_file), strict=True))
        if not self.execute_command:
            return interpolate(default, {name: partial(_given, values[name]) for name in values})
        text = self.execute_command
        for name, value in values.items():
            text = text.replace(_mark(name), value)
        return text

    def variables(self, packer: Mapping[str, str]) -> str:
        """`{{.Vars}}`: sorted, each in single quotes; `packer` are Packer's own variables."""
        values = {**packer, **dict(pair.split("=", 1) for pair in self.environment_vars)}
        values.update(self.env)
        quoted = {name: value.replace("'", "'\"'\"'") for name, value in values.items()}
        pattern = self.env_var_format or (
            "export %s='%s'\n" if self.use_env_var_file else "%s='%s' "
        )
        return "".join(pattern % (name, quoted[name]) for name in sorted(quoted))


class FileProvisioner(_Provisioner):
    """Files or directories copied into the machine, or out of it."""

    kind: Literal["file"] = "file"
    source: str = ""
    sources: tuple[str, ...] = ()
    destination: str = Field(min_length=1)
    direction: Literal["upload", "download"] = "upload"
    generated: bool = False

    @model_validator(mode="after")
    def _some_source(self) -> "FileProvisioner":
        if not self.all_sources:
            raise ValueError("source is needed")
        return self

    @property
    def all_sources(self) -> tuple[str, ...]:
        """Every source, in Packer's order."""
        return (*self.sources, *((self.source,) if self.source else ()))


Provisioner = ShellProvisioner | FileProvisioner

_KINDS: Mapping[str, type[ShellProvisioner] | type[FileProvisioner]] = {
    "shell": ShellProvisioner,
    "file": FileProvisioner,
}


def read_provisioners(
    template: PackerTemplate, build_name: str, functions: Mapping[str, Function]
) -> tuple[Provisioner, ...]:
    """The provisioners that apply to this builder, interpolated. Raises Unusable."""
    found, refusals = [], []
    for index, entry in enumerate(template.provisioners):
        if _applies(entry, build_name):
            try:
                place = ("provisioners", index)
                found.append(_read(entry, template.source, place, build_name, functions))
            except Unusable as refusal:
                refusals.append(refusal)
    refuse_together(template.source, refusals)
    return tuple(found)


def _applies(entry: Mapping[str, Any], build_name: str) -> bool:
    only = entry.get("only") or ()
    return (not only or build_name in only) and build_name not in (entry.get("except") or ())


def _read(
    entry: Mapping[str, Any],
    source: str,
    place: Key,
    build_name: str,
    functions: Mapping[str, Function],
) -> Provisioner:
    kind, said = entry["type"], f"{source}: {dotted(place)}"
    model = _KINDS.get(kind)
    if model is None:
        words = f"the layered builder has no provisioner {kind!r}{did_you_mean(kind, _KINDS)}"
        raise Unusable(
            f"{said}: {words}.",
            [Problem((*place, "type"), words)],
            details=f"It has: {', '.join(_KINDS)}.",
            resolution=USE_PACKER,
        )
    override = (entry.get("override") or {}).get(build_name) or {}
    options = {key: value for key, value in entry.items() if key not in _WRAPPER_KEYS} | override
    late: Mapping[str, Function] = {
        **functions,
        **{field: partial(_marked, field) for field in _LATE_FIELDS},
    }
    values = {}
    for key, value in options.items():
        try:
            values[key] = interpolate_tree(value, late if key in _LATE_KEYS else functions)
        except InvalidInput as error:
            raise Unusable(
                f"{said}: {error.brief}",
                [Problem((*place, key), error.brief)],
                details=error.details,
                resolution=error.resolution,
            ) from error
    try:
        return model(**values)
    except ValidationError as error:
        problems = [_problem(item, model) for item in error.errors()]
        raise Unusable(
            f"{said}: the {kind} provisioner cannot be used.",
            [Problem((*place, *problem.key), problem.words) for problem in problems],
            details="\n".join(map(str, problems)),
            resolution=f"correct the options named above, or {USE_PACKER}",
        ) from error


def _problem(item: Any, model: type[BaseModel]) -> Problem:
    if item["type"] == "extra_forbidden":
        name = str(item["loc"][-1])
        words = f"unknown option{did_you_mean(name, model.model_fields)}"
        return Problem(item["loc"], words)
    return Problem(item["loc"], item["msg"].removeprefix("Value error, "))


def describe(provisioner: Provisioner) -> str:
    """A provisioner in a few words."""
    if isinstance(provisioner, FileProvisioner):
        return f"{provisioner.direction} {', '.join(provisioner.all_sources)}"
    return ", ".join(Path(name).name for name in provisioner.files) or "inline"
