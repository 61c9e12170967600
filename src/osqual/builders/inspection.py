"""What the machine of a build holds: looked at before the first provisioner, and at the end.

docs/adr/0017-what-an-image-holds.md says why there, and not on a node of a cluster.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from osqual.builders.build_vm import BuildVm
from osqual.errors import BuildFailed, CommandFailed
from osqual.inventory.collecting import collect_digest, collect_script, read_inventory_file
from osqual.inventory.facts import whole
from osqual.secrecy import SHORTEST, secrets_of

COLLECT_TIMEOUT_S = 600.0


def collect(build: BuildVm, *parts: str, secrets: Sequence[str] = ()) -> str:
    """Parts of the inventory, as the script prints them. Raises BuildFailed.

    The script goes in by standard input: the secrets that it looks for are on no command line.
    """
    try:
        done = build.machine.run(
            ["sh", "-s", "--", *parts],
            sudo=build.sudo,
            stdin=collect_script(secrets),
            timeout_s=COLLECT_TIMEOUT_S,
        )
    except CommandFailed as error:
        raise not_inspected(error.details) from error
    if not whole(done.stdout, *parts):
        raise not_inspected(done.stderr)
    return done.stdout


def known_secrets(sensitive: Sequence[str], environ: Mapping[str, str]) -> tuple[str, ...]:
    """What must not be found in an image; shorter values are words that stand everywhere."""
    long_enough = (value for value in sensitive if len(value) >= SHORTEST)
    return tuple(dict.fromkeys((*long_enough, *secrets_of(environ))))


def not_inspected(details: str) -> BuildFailed:
    """The failure of looking at the machine: what was not looked at is not published."""
    return BuildFailed(
        "It could not be found out what the machine holds.",
        details=details,
        resolution="ssh_username must be root, or may use sudo without a password; the machine "
        "needs find, awk and 8 MB of memory to spare",
    )


def base_inventory_path(cache: Path, root: str) -> Path:
    """Where the inventory of a booted base is kept; `root` is its content key."""
    return cache / "inventories" / f"{root[:32]}-{collect_digest()[:16]}.gz"


def read_base_inventory(path: Path) -> str | None:
    """The inventory of a base; None when there is none that can be used."""
    try:
        return read_inventory_file(path)
    except (OSError, EOFError):
        return None
