"""Files into the machine and out of it, with the permissions that Packer's scp gives them."""

import tarfile
import tempfile
from pathlib import Path, PurePosixPath

from osqual.builders.provisioners import FileProvisioner
from osqual.builders.workshop import Workshop, not_prepared
from osqual.effects.scope import RunScope
from osqual.errors import BuildFailed, CommandFailed
from osqual.processes.process import run
from osqual.ssh.machine import ConnectionLost

TRANSFER_TIMEOUT_S = 1800.0

# Writes standard input like scp's sink: a new file gets the mode, less the user's umask. With a
# third argument every file gets just that mode.
_RECEIVE_FILE = """
case $1 in "~/"*) target=$HOME/${1#"~/"};; *) target=$1;; esac
[ -n "$3" ] || [ -e "$target" ] || new=1
cat > "$target" || exit 1
if [ -n "$3" ]; then chmod "$2" "$target"; fi
if [ -n "${new-}" ]; then chmod "$(printf %o $((0$2 & ~0$(umask))))" "$target"; fi
"""

# A directory without a trailing slash goes below the target, or becomes it when there is none.
_RECEIVE_TREE = """
case $1 in "~/"*) target=$HOME/${1#"~/"};; *) target=$1;; esac
if [ ! -d "$target" ] && [ -n "$2" ]; then strip=1; mkdir "$target" || exit 1; fi
tar -x -f - -m --no-same-owner --no-same-permissions --no-overwrite-dir \
    ${strip:+--strip-components=1} -C "$target"
"""


def transfer_files(
    provisioner: FileProvisioner, number: int, shop: Workshop, scope: RunScope
) -> None:
    """Do what a `file` provisioner says. Raises BuildFailed."""
    for source in provisioner.all_sources:
        arrow = f"{source} => {provisioner.destination}"
        scope.progress(f"provisioner {number}: {provisioner.direction} {arrow}")
        try:
            if provisioner.direction == "download":
                _download(source, provisioner.destination, shop, scope)
            else:
                _upload(source, provisioner.destination, shop, scope)
        except CommandFailed as error:
            raise not_prepared(error) from error
        except ConnectionLost as error:
            raise BuildFailed(error.brief, details=error.details) from error


def _upload(source: str, destination: str, shop: Workshop, scope: RunScope) -> None:
    local = shop.find_file(source)
    if not local.is_dir():
        target = destination + local.name if destination.endswith("/") else destination
        send_file(local, target, local.stat().st_mode & 0o777, shop, scope)
        return
    name = "" if source.endswith("/") else local.name
    with tempfile.NamedTemporaryFile(suffix=".tar") as archive:
        with tarfile.open(fileobj=archive, mode="w", dereference=True) as tar:
            for item in [local] if name else sorted(local.iterdir()):
                tar.add(item, arcname=name or item.name, filter=_anonymous)
        archive.flush()
        shop.machine.run(
            ["sh", "-c", _RECEIVE_TREE, "receive", destination, name],
            stdin=Path(archive.name),
            timeout_s=TRANSFER_TIMEOUT_S,
            cancellation=scope.cancellation,
        )


def _anonymous(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    return entry


def send_file(
    local: Path, remote: str, mode: int, shop: Workshop, scope: RunScope, *, exact: bool = False
) -> None:
    """Write a file in the machine; `exact` sets the mode whatever umask and an old file say."""
    shop.machine.run(
        ["sh", "-c", _RECEIVE_FILE, "receive", remote, f"{mode:o}", "exact" if exact else ""],
        stdin=local,
        timeout_s=TRANSFER_TIMEOUT_S,
        cancellation=scope.cancellation,
    )


def _download(source: str, destination: str, shop: Workshop, scope: RunScope) -> None:
    """A file, or what is in a directory when the source ends with a slash."""
    if any(character in source for character in "*?["):
        raise BuildFailed(
            f"{source}: the layered builder downloads no patterns.",
            resolution="name the directory with a trailing slash, or use --builder packer",
        )
    target = shop.directory / destination
    if not source.endswith("/"):
        if destination.endswith("/"):
            target = target / PurePosixPath(source).name
        shop.machine.get(source, target)
        target.chmod(0o644)
        return
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(suffix=".tar") as archive:
        argv = ["tar", "-c", "-h", "-f", "-", "-C", str(PurePosixPath(source).parent)]
        shop.machine.run(
            [*argv, PurePosixPath(source).name],
            stdout=Path(archive.name),
            timeout_s=TRANSFER_TIMEOUT_S,
            cancellation=scope.cancellation,
        )
        run(["tar", "-x", "-f", archive.name, "--no-same-owner", "-C", str(target)])
