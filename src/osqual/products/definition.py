"""Product definitions: how a product is installed on a cluster, and which suites it has.

A definition is `<folder>/<name>/product.yaml` with its scripts and tests beside it. Nothing here,
or anywhere else in the engine, knows a product's name.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from osqual.errors import InvalidFile, InvalidInput, Key, NotFound, Problem, Unusable
from osqual.formats.documents import load_yaml, read_document, yaml_line
from osqual.formats.spelling import did_you_mean, problems_of
from osqual.model import Cluster, Configuration, Role, Suite
from osqual.products.node_set import NodeSet
from osqual.products.suite_entry import RESERVED_PREFIX, SuiteEntry, check_name, check_variable

FILE_NAME = "product.yaml"
BUILT_IN_PRODUCTS = Path(__file__).parents[1] / "built_in" / "products"


@dataclass(frozen=True, kw_only=True)
class InstallStep:
    """One script of an installation and the nodes it runs on.

    `outputs` are the names of the values that the script hands to those after it, `secrets` those
    of them that must be written down nowhere. `poll_s` repeats a script until it succeeds.
    """

    name: str
    script: Path
    nodes: NodeSet = NodeSet.ALL
    as_root: bool = True
    in_parallel: bool = True
    timeout_s: float = 600.0
    poll_s: float | None = None
    outputs: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ModuleChoice:
    """The Terraform module that a product prefers; `version` is that of Terraform."""

    module: str
    version: str = ""


@dataclass(frozen=True, kw_only=True)
class Product:
    """A product definition, its paths absolute and known to exist."""

    name: str
    directory: Path
    description: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables that every script of the installation gets."""
    install: tuple[InstallStep, ...] = ()
    suites: tuple[Suite, ...] = ()
    variables: tuple[str, ...] = ()
    """Variables of a cluster profile that the product's scripts read, and no module knows."""
    installer: str = ""
    """The one of them that holds the URL of the product's installer."""
    terraform: ModuleChoice | None = None
    versions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """What to ask each node for once it is installed: name and command, whose output it is."""


class ProductFolders(Protocol):
    """The part of the settings that says where definitions are (`Settings` meets it)."""

    @property
    def products(self) -> str:
        """Folder of product definitions, relative to the catalogue's root."""


def load_product(
    name: str,
    root: Path,
    settings: ProductFolders,
    environments: Mapping[str, Mapping[str, str]] = MappingProxyType({}),
) -> Product:
    """The definition of the product that the `product` dimension names, in whatever case.

    `environments` maps products to variables over those of their definitions.
    Raises NotFound with the known names, or InvalidInput with every problem and its place.
    """
    directory = find_product(name, root, settings)
    if directory is None:
        folders = definition_folders(root, settings)
        found = _definitions(folders)
        raise NotFound(
            f"There is no definition of the product {name!r}{did_you_mean(name, found)}.",
            details=f"Looked in: {', '.join(str(folder) for folder in folders)}\n"
            f"Known products: {', '.join(sorted(found)) or 'none'}",
            resolution=f"write {folders[0] / name.lower() / FILE_NAME}, or set `products` in "
            "osqual.yaml to the folder that holds it",
        )
    product = _read_product(directory)
    return with_environment(product, environments.get(product.name, {}))


def with_environment(product: Product, extra: Mapping[str, str]) -> Product:
    """The product with variables of the settings over those of its definition."""
    if not extra:
        return product
    suites = tuple(
        replace(suite, environment={**suite.environment, **extra}) for suite in product.suites
    )
    return replace(product, environment={**product.environment, **extra}, suites=suites)


def with_parameters(product: Product, chosen: Mapping[str, Mapping[str, Any]]) -> Product:
    """The product with parameters of the settings (suite -> name -> value) over its own.

    Raises InvalidInput for what the definition does not know.
    """
    known = {suite.name: suite.parameters for suite in product.suites}
    for name, values in chosen.items():
        unknown = sorted(values.keys() - known.get(name, {}).keys())
        if name not in known or unknown:
            what = f"suite {name!r}" + (f" with a parameter {unknown[0]!r}" if unknown else "")
            raise InvalidInput(
                f"suite_parameters: {product.name} has no {what}.",
                resolution="declare it in the product definition, or correct osqual.yaml",
            )
    suites = tuple(
        replace(suite, parameters={**suite.parameters, **chosen.get(suite.name, {})})
        for suite in product.suites
    )
    return replace(product, suites=suites)


def find_product(name: str, root: Path, settings: ProductFolders) -> Path | None:
    """The directory of a product's definition, unread; None when there is none."""
    found = _definitions(definition_folders(root, settings))
    return found.get(name) or {key.lower(): path for key, path in found.items()}.get(name.lower())


def known_products(root: Path, settings: ProductFolders) -> tuple[str, ...]:
    """The names of all definitions."""
    return tuple(sorted(_definitions(definition_folders(root, settings))))


def definition_folders(root: Path, settings: ProductFolders) -> tuple[Path, ...]:
    """The folders that are searched for definitions, the first one wins."""
    return (root / settings.products, BUILT_IN_PRODUCTS)


def _definitions(folders: Sequence[Path]) -> dict[str, Path]:
    """Name of each definition and its directory."""
    found: dict[str, Path] = {}
    for folder in folders:
        for path in sorted(folder.glob(f"*/{FILE_NAME}")):
            found.setdefault(path.parent.name, path.parent)
    return found


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Step(_Section):
    name: str
    script: str
    nodes: NodeSet = NodeSet.ALL
    user: Literal["root", "ssh"] = "root"
    parallel: bool = True
    timeout: float = Field(default=600, gt=0)
    poll: float | None = Field(default=None, gt=0)
    outputs: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()

    @field_validator("name")
    @classmethod
    def _name(cls, value: str) -> str:
        return check_name(value)

    @field_validator("outputs", "secrets")
    @classmethod
    def _values(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        for value in values:
            check_variable(value)
        return values


class _Profile(_Section):
    variables: tuple[str, ...] = ()
    installer: str = ""


class _Terraform(_Section):
    module: str
    version: str = ""


class _Definition(_Section):
    description: str = ""
    environment: Mapping[str, str] = Field(default_factory=dict)
    profile: _Profile = _Profile()
    terraform: _Terraform | None = None
    versions: Mapping[str, Annotated[tuple[str, ...], Field(min_length=1)]] = Field(
        default_factory=dict
    )
    install: tuple[_Step, ...] = ()
    suites: tuple[SuiteEntry, ...] = Field(min_length=1)

    @field_validator("environment")
    @classmethod
    def _environment(cls, values: Mapping[str, str]) -> Mapping[str, str]:
        for name in values:
            check_variable(name)
        return values


def definition_schema() -> dict[str, Any]:
    """JSON Schema of product.yaml."""
    return _Definition.model_json_schema()


def _read_product(directory: Path) -> Product:
    path = directory / FILE_NAME
    text = _read_text(path)
    content = load_yaml(text, str(path))
    try:
        definition = _Definition.model_validate(content)
    except ValidationError as error:
        raise _invalid(path, text, problems_of(error, _Definition, content)) from error
    problems = [*_inconsistencies(definition), *_path_problems(directory, definition)]
    if problems:
        raise _invalid(path, text, problems)
    return Product(
        name=directory.name,
        directory=directory,
        description=definition.description.strip(),
        environment=definition.environment,
        install=tuple(_step(directory, step) for step in definition.install),
        suites=tuple(suite.suite_in(directory) for suite in definition.suites),
        variables=definition.profile.variables,
        installer=definition.profile.installer,
        terraform=_module(definition.terraform),
        versions=definition.versions,
    )


def _module(choice: _Terraform | None) -> ModuleChoice | None:
    return None if choice is None else ModuleChoice(module=choice.module, version=choice.version)


def _step(directory: Path, step: _Step) -> InstallStep:
    return InstallStep(
        name=step.name,
        script=directory / step.script,
        nodes=step.nodes,
        as_root=step.user == "root",
        in_parallel=step.parallel,
        timeout_s=step.timeout,
        poll_s=step.poll,
        outputs=step.outputs,
        secrets=step.secrets,
    )


def _inconsistencies(definition: _Definition) -> Iterator[Problem]:
    """What is wrong between the parts of a definition that are each right."""
    for section, entries in (("install", definition.install), ("suites", definition.suites)):
        names = [entry.name for entry in entries]
        for index, name in enumerate(names):
            if name in names[:index]:
                yield Problem((section, index, "name"), f"{name!r} is used twice")
    profile = definition.profile
    if profile.installer and profile.installer not in profile.variables:
        words = f"{profile.installer!r} is not one of profile.variables"
        yield Problem(("profile", "installer"), words)
    given: set[str] = set(definition.environment)
    for index, step in enumerate(definition.install):
        for value in (*step.outputs, *step.secrets):
            if value in given:
                yield Problem(("install", index, "outputs"), f"{value!r} is given twice")
            given.add(value)
        if (step.outputs or step.secrets) and step.nodes is not NodeSet.FIRST_MASTER:
            yield Problem(
                ("install", index, "outputs"),
                "only a script that runs on one node (nodes: first_master) can hand values on",
            )


def _path_problems(directory: Path, definition: _Definition) -> Iterator[Problem]:
    paths: list[tuple[Key, str, bool]] = [
        *(
            (("install", i, "script"), step.script, True)
            for i, step in enumerate(definition.install)
        ),
        *((("suites", i, "path"), suite.path, False) for i, suite in enumerate(definition.suites)),
    ]
    home = directory.resolve()
    for place, written, must_be_file in paths:
        path = (directory / written).resolve()
        if not path.is_relative_to(home):
            yield Problem(place, f"{written!r} leads out of the product's directory")
        elif not path.exists():
            yield Problem(place, f"{written!r} does not exist beside {FILE_NAME}")
        elif must_be_file and not path.is_file():
            yield Problem(place, f"{written!r} is not a file")


def _read_text(path: Path) -> str:
    try:
        return read_document(path.parent.resolve(), path.name)
    except InvalidFile as error:
        raise InvalidFile(str(path), error.problem, line=error.line) from error


def _invalid(path: Path, text: str, problems: Iterable[Problem]) -> Unusable:
    return Unusable(
        f"The product definition {path} cannot be used.",
        [problem._replace(line=yaml_line(text, problem.key)) for problem in problems],
        resolution="correct the lines named above; `osqual schema product` prints what is known",
    )


def cluster_environment(
    configuration: Configuration, cluster: Cluster, parameters: Mapping[str, Any] | None = None
) -> dict[str, str]:
    """What every script and command of a product is told, as environment variables.

    `OSQUAL_CONFIGURATION`; each dimension (`OSQUAL_OS`, `OSQUAL_RELEASE`, …); for each role the
    nodes' names and private addresses, separated by commas (`OSQUAL_MASTER_ADDRESSES`, …); each
    variable of the profile (`OSQUAL_VARIABLE_NAME`), JSON unless it is a plain string.
    """
    values = {f"{RESERVED_PREFIX}CONFIGURATION": configuration.path}
    for name, value in configuration.dimensions.items():
        values[f"{RESERVED_PREFIX}{name.upper()}"] = value
    for role in Role:
        nodes = cluster.by_role(role)
        prefix = f"{RESERVED_PREFIX}{role.value.upper()}"
        values[f"{prefix}_NAMES"] = ",".join(node.name for node in nodes)
        values[f"{prefix}_ADDRESSES"] = ",".join(node.private_address for node in nodes)
    for name, value in (parameters or {}).items():
        text = value if isinstance(value, str) else json.dumps(value)
        values[f"{RESERVED_PREFIX}VARIABLE_{re.sub(r'[^A-Za-z0-9]', '_', name).upper()}"] = text
    return values
