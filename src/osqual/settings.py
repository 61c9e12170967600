"""Settings: declared once, read from osqual.yaml and the environment, each knowing its source."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import platformdirs
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from osqual.conventions import DCOS_IMAGES, DCOS_IMAGES_LAYOUT, Conventions, FileNames
from osqual.errors import InvalidFile, InvalidInput, Problem
from osqual.formats.documents import load_yaml, read_document, yaml_line
from osqual.formats.spelling import problems_of
from osqual.inventory.checks import DEFAULT_POLICY as HYGIENE
from osqual.results.node_checks import DEFAULT_POLICY, Consequence

FILE_NAME = "osqual.yaml"

# Environment variable -> dotted setting. Only what a user changes per machine is here; what
# belongs to the catalogue is changed in osqual.yaml.
ENVIRONMENT: Mapping[str, str] = {
    "OSQUAL_STATE_DIR": "directories.state",
    "OSQUAL_CACHE_DIR": "directories.cache",
    "OSQUAL_DATA_DIR": "directories.data",
    "OSQUAL_STORE": "store",
    "OSQUAL_EVIDENCE": "evidence",
    "OSQUAL_ACCELERATION": "qemu.acceleration",
    "OSQUAL_DEBIAN_MIRROR": "qemu.debian_mirror",
    "OSQUAL_TERRAFORM": "terraform.program",
    "OSQUAL_AWS_SSH_CONFIG": "aws.ssh_config",
    "OSQUAL_AWS_OPERATOR_CIDR": "aws.operator_cidr",
}


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Directories(_Section):
    """Where osqual keeps things outside the catalogue (XDG base directories by default)."""

    state: Path = Field(default_factory=lambda: platformdirs.user_state_path("osqual"))
    cache: Path = Field(default_factory=lambda: platformdirs.user_cache_path("osqual"))
    data: Path = Field(default_factory=lambda: platformdirs.user_data_path("osqual"))

    @field_validator("*", mode="after")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        """The store keeps paths, which processes started elsewhere must find."""
        return value.expanduser().absolute()


class Qemu(_Section):
    """The embedded platform. Sizes are per node."""

    acceleration: Literal["auto", "kvm", "tcg"] = "auto"
    memory_mb: int = Field(default=1024, ge=128)
    cpus: int | None = Field(default=None, ge=1)
    """Processors of a node; None: two, and under emulation no more than the host has for each."""
    disk_gb: int | None = Field(default=None, ge=1)
    """Grow each node's disk to this size; None keeps the image's."""
    boot_timeout_s: float = Field(default=600, gt=0)
    layers: Literal["ram", "disk", "off"] = "ram"
    """How the layered builder continues after an edit: from memory, from disk, or never."""
    debian_mirror: str | None = None
    """Mirror for `debian:SUITE` bases; None leaves the choice to mmdebstrap."""


class Terraform(_Section):
    """How clusters are made where the platform is a cloud."""

    program: str = "terraform"
    """`terraform`, `tofu` or a path. Version files of tfenv and tofuenv are honoured."""
    version: str | None = None
    """A version or a range; None leaves it to `.terraform-version` and to the product."""
    module: str | None = None
    """`aws-cluster`, ./path or a source as Terraform knows it; None: the product's, or built in."""
    variables: Mapping[str, Any] = Field(default_factory=dict)
    """Added to every cluster profile; the profile wins."""
    lock_timeout_s: int = Field(default=300, ge=0)


class VendorImages(_Section):
    """Where the newest base image of an OS is found: an owner and a name filter, or SSM."""

    owner: str | None = None
    name: str | None = None
    """Filter on image names, with `*`; `{version}` stands for the OS version."""
    ssm: str | None = None
    """Parameter that holds the image id; `{version}` as above."""
    architecture: str = "x86_64"

    @model_validator(mode="after")
    def _one_way(self) -> "VendorImages":
        if (self.ssm is None) == (self.owner is None or self.name is None):
            raise ValueError("give either `ssm`, or `owner` and `name`")
        return self


class Aws(_Section):
    """Amazon's cloud. Credentials come from its normal chain and are never written down."""

    operator_cidr: str = "auto"
    """Who may reach the nodes; `auto` is this machine's public address."""
    ssh_config: Path | None = None
    """OpenSSH configuration that says how nodes' addresses are reached from here."""
    jump_host: str = Field(default="auto", pattern=r"^[^-\s][^\s]*$")
    """`[user@]host[:port]` before all nodes, reached at their private addresses; `auto`: nodes
    without a public address are reached through the first that has one; `none`: directly."""
    ssh_private_key: Path | None = None
    """For modules that start nodes with an existing key pair."""
    boot_timeout_s: float = Field(default=900, gt=0)
    public_at_build: bool = False
    """Grant an image's public launch permission at build, not after the publish gate."""
    allow_deprecated_bases: bool = False
    cluster_hours: float = Field(default=3, gt=0)
    """How long a cluster is assumed to run, for estimates."""
    prices: Mapping[str, Mapping[str, float]] = Field(default_factory=dict)
    """Region -> instance type -> USD an hour."""
    base_images: Mapping[str, VendorImages] = Field(default_factory=dict)
    """OS -> where its vendor's newest image is; added to the built-in ones."""


class TimeLimits(_Section):
    """Seconds a step may take before it is ended as inconclusive."""

    validate_: float = Field(default=300, gt=0, alias="validate")
    build: float = Field(default=3600, gt=0)
    provision: float = Field(default=1800, gt=0)
    install: float = Field(default=3600, gt=0)
    test: float = Field(default=7200, gt=0)
    publish: float = Field(default=600, gt=0)
    destroy: float = Field(default=600, gt=0)

    def of(self, step: str) -> float | None:
        """The limit of a step by its name; None for a step that needs none."""
        value = getattr(self, "validate_" if step == "validate" else step, None)
        return None if value is None else float(value)


class Retries(_Section):
    """How often, and after which waits, what failed for infrastructure is tried again."""

    attempts: int = Field(default=3, ge=1, le=20)
    """How often something is tried in all; 1: never again."""
    first_wait_s: float = Field(default=2, gt=0)
    """At most so long before the second attempt; twice that before the third, and so on."""
    longest_wait_s: float = Field(default=60, gt=0)


class Workers(_Section):
    """How workers that share a queue find out that one of them has died."""

    heartbeat_s: float = Field(default=10, gt=0)
    """So often a worker says that it lives, and looks for jobs and schedules that are due."""
    stalled_after_s: float = Field(default=60, gt=0)
    """A worker that says nothing for so long is taken for dead."""


class Limit(_Section):
    """A quota: so much may be in use at a time by all runs whose store is the same."""

    at_most: int = Field(ge=1)
    counts: Literal["runs", "machines"] = "runs"
    """What is counted: runs, or the machines of their clusters."""
    paths: tuple[str, ...] = ()
    """Configurations (globs) that count; without any, all."""


_Code = Annotated[str, Field(pattern=r"^OSQ[0-9]{0,3}$")]


class LintIgnore(_Section):
    """Findings that are accepted: of a code, or of all that begin so, in some paths (globs)."""

    code: _Code
    paths: tuple[str, ...] = ()
    """Files or configurations; without any, everywhere."""
    reason: str = ""


class Publish(_Section):
    """How published files are committed and pushed."""

    author: str = Field(default="", pattern=r"^$|^[^<>]+ <[^<>\s]+>$")
    """`Name <address>` of publishing commits; without it git's own."""
    remote: str = ""
    """Where `--publish push` pushes to; without it the branch's own remote, else `origin`."""
    branch: str = ""
    """The branch there; without it that of the change in continuous integration, else the one
    that the checked out branch follows."""
    attempts: int = Field(default=100, ge=1)
    """How often a commit is made anew because others pushed to the branch meanwhile."""


class ForgeSettings(_Section):
    """The forge that changes come from; its token is only ever in the environment."""

    kind: Literal["auto", "github", "gitlab", "none"] = "auto"
    """`auto`: the one whose continuous integration this is, when its token is there."""
    repository: str = ""
    """`owner/name`; without it that of the job."""
    api: str = Field(default="", pattern=r"^$|^https?://[^@\s]+$")
    """The REST API, where it is neither the public one nor the job's."""


class Webhook(_Section):
    """Who is told when a configuration's verdict is not what it was."""

    url: str = Field(default="", pattern=r"^$|^https?://")
    variable: str = ""
    """An environment variable that holds the URL, where that is a secret, as Slack's are."""
    shape: Literal["json", "slack"] = "json"

    @model_validator(mode="after")
    def _one_place(self) -> "Webhook":
        if bool(self.url) == bool(self.variable):
            raise ValueError("give either `url` or `variable`")
        return self


class TrustedIdentity(_Section):
    """Who may have signed without a key, and who vouches for that."""

    identity: str
    """A workflow's URL with its ref, or an e-mail address, as the certificate has it."""
    issuer: str = "https://token.actions.githubusercontent.com"


class Attest(_Section):
    """Signed statements about what was qualified."""

    key: Path | None = None
    """The private key that signs, on the machine that runs, or the public half of one that the ssh
    agent holds; the environment wins over it."""
    keyless: bool = False
    """Whether runs without a key sign by the identity of their CI job, through sigstore."""
    identities: tuple[TrustedIdentity, ...] = ()
    """Whose keyless signatures `osqual verify` believes."""
    sigstore: str | None = None
    """Another instance of sigstore: its trust configuration, relative to the catalogue's root."""
    trusted: tuple[str, ...] = ()
    """Public keys that `osqual verify` believes: files, relative to the catalogue's root."""


class Lint(_Section):
    """What `osqual lint` leaves out, and whether warnings fail it too."""

    ignore: tuple[_Code | LintIgnore, ...] = ()
    """Codes, or mappings of `code`, `paths` and `reason`."""
    strict: bool = False

    @property
    def accepted(self) -> tuple[LintIgnore, ...]:
        """What to ignore, each entry with its paths."""
        return tuple(
            LintIgnore(code=item) if isinstance(item, str) else item for item in self.ignore
        )


class AcceptBelow(_Section):
    """Accept flaky tests that surely fail less often than this."""

    accept_below: float = Field(gt=0, lt=1)
    """A share of first attempts; compared with the upper end of the 95 % interval."""


def _all_known(given: Mapping[str, Any], known: Mapping[str, Any]) -> Mapping[str, Any]:
    """The mapping, when each of its keys is a check. Raises ValueError."""
    unknown = sorted(given.keys() - known.keys())
    if unknown:
        raise ValueError(f"{unknown[0]!r} is no check; there are {', '.join(known)}")
    return given


class Policy(_Section):
    """What a verdict accepts."""

    flaky: Literal["accept", "reject"] | AcceptBelow = "accept"
    """Tests that pass only when they are repeated."""
    checks: Mapping[str, Consequence] = Field(default_factory=dict, validate_default=True)
    """What follows from what nodes' consoles and logs tell, by check; the others keep their own."""

    hygiene: Mapping[str, Consequence] = Field(default_factory=dict, validate_default=True)
    """What follows from faults of an image, by check; the others keep their own."""
    hygiene_accepts: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)
    """Check -> what of its findings is accepted: paths, users or ports (globs)."""

    @field_validator("checks")
    @classmethod
    def _known(cls, checks: Mapping[str, Consequence]) -> Mapping[str, Consequence]:
        return {**DEFAULT_POLICY, **_all_known(checks, DEFAULT_POLICY)}

    @field_validator("hygiene")
    @classmethod
    def _known_hygiene(cls, checks: Mapping[str, Consequence]) -> Mapping[str, Consequence]:
        return {**HYGIENE, **_all_known(checks, HYGIENE)}

    @field_validator("hygiene_accepts")
    @classmethod
    def _known_accepts(cls, accepts: Mapping[str, tuple[str, ...]]) -> Mapping[str, Any]:
        return _all_known(accepts, HYGIENE)

    @property
    def flake_limit(self) -> float:
        """Up to which rate of failures a flaky test is accepted."""
        if isinstance(self.flaky, AcceptBelow):
            return self.flaky.accept_below
        return 1.0 if self.flaky == "accept" else 0.0


class Settings(_Section):
    """All settings. `sources` maps the dotted name of every value set somewhere to where."""

    layout: str = DCOS_IMAGES_LAYOUT
    files: FileNames = FileNames()
    default_region: str | None = None
    aliases: Mapping[str, Mapping[str, str]] = Field(
        default_factory=lambda: dict(DCOS_IMAGES.aliases)
    )
    """Dimension -> value -> what it means the same as; by default those of dcos/dcos-images."""
    products: str = "products"
    """Folder of product definitions, relative to the catalogue's root."""
    store: str | None = None
    """Database URL; None is SQLite in the state directory."""
    directories: Directories = Field(default_factory=Directories)
    qemu: Qemu = Qemu()
    aws: Aws = Aws()
    terraform: Terraform = Terraform()
    product_environment: Mapping[str, Mapping[str, str]] = Field(default_factory=dict)
    """Product -> variables that its scripts and suites get, over those of its definition."""
    time_limits: TimeLimits = TimeLimits()
    retries: Retries = Retries()
    expire_after_s: float = Field(default=24 * 3600, gt=0)
    """After this time nobody needs a run's resources any more, whatever became of the run."""
    limits: Mapping[str, Limit] = Field(default_factory=dict)
    """Quotas by name, such as that of a cloud account. A run begins when all have room for it."""
    workers: Workers = Workers()
    evidence: str | None = None
    """Where workers copy what a run leaves to read: a directory, or s3://bucket/prefix."""
    lint: Lint = Lint()
    publish: Publish = Publish()
    attest: Attest = Attest()
    notify: tuple[Webhook, ...] = ()
    forge: ForgeSettings = ForgeSettings()
    policy: Policy = Policy()
    reuse_verdicts: bool = False
    """Whether runs take over verdicts of earlier ones, as with `osqual run --reuse`."""
    suite_parameters: Mapping[str, Mapping[str, Mapping[str, Any]]] = Field(default_factory=dict)
    """Product -> suite -> parameters, over those of its definition."""
    sources: Mapping[str, str] = Field(default_factory=dict, exclude=True)

    @property
    def conventions(self) -> Conventions:
        """The part that says how the catalogue is laid out."""
        return Conventions(
            layout=self.layout,
            files=self.files,
            default_region=self.default_region,
            aliases=self.aliases,
        )

    def source_of(self, name: str) -> str:
        """Where a value comes from: a file, an environment variable, or `default`."""
        return self.sources.get(name, "default")


def load_settings(root: Path | None, environ: Mapping[str, str] | None = None) -> Settings:
    """Settings for the catalogue at `root` (None: no catalogue); the environment wins over it.

    Raises InvalidInput naming the file, the key and what it should be.
    """
    environ = os.environ if environ is None else environ
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    if root is not None and os.path.lexists(root / FILE_NAME):
        values = _read(root)
        sources = dict.fromkeys(_dotted(values), FILE_NAME)
    for variable, name in ENVIRONMENT.items():
        if environ.get(variable):
            _set(values, name, environ[variable])
            sources[name] = f"${variable}"
    if "sources" in values:
        raise InvalidFile(FILE_NAME, "unknown key", key="sources")
    try:
        return Settings(**values, sources=sources)
    except ValidationError as error:
        text = ""
        if root is not None and FILE_NAME in sources.values():
            text = read_document(root.resolve(), FILE_NAME)
        raise InvalidInput(
            "The settings cannot be used.",
            details="\n".join(
                _said(problem, sources, text) for problem in problems_of(error, Settings, values)
            ),
            resolution="correct the keys named above; `osqual schema osqual` prints what is known",
        ) from error


def _read(root: Path) -> dict[str, Any]:
    content = load_yaml(read_document(root.resolve(), FILE_NAME), FILE_NAME)
    if content is None:
        return {}
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise InvalidFile(FILE_NAME, "must be a mapping of settings", line=1)
    return content


def _dotted(values: Mapping[str, Any], prefix: str = "") -> list[str]:
    names = []
    for key, value in values.items():
        name = f"{prefix}{key}"
        names += [name, *(_dotted(value, f"{name}.") if isinstance(value, dict) else [])]
    return names


def _set(values: dict[str, Any], name: str, value: str) -> None:
    *sections, key = name.split(".")
    for section in sections:
        inner = values.setdefault(section, {})
        if not isinstance(inner, dict):
            return  # the file's section is not a mapping: validation will say so
        values = inner
    values[key] = value


def _said(problem: Problem, sources: Mapping[str, str], text: str) -> str:
    """What is wrong with a value, after the place where it comes from."""
    names = [str(part) for part in problem.key]
    above = (".".join(names[:count]) for count in range(len(names), 0, -1))
    source = next((sources[name] for name in above if name in sources), "settings")
    line = yaml_line(text, problem.key) if source == FILE_NAME else 0
    return f"{source}:{line}: {problem}" if line else f"{source}: {problem}"
