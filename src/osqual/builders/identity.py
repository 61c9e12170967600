"""Who the machines of builds are: one key pair and one host key for each cache directory.

A layer's memory holds a running sshd with the host key and the authorised key of the build that
made it, so every build of a cache has to use the same ones. docs/adr/0006-layers.md weighs this.
"""

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path

from osqual.builders.locks import wait_for
from osqual.effects.scope import RunScope
from osqual.model import SshIdentity
from osqual.processes.process import write_atomic
from osqual.qemu.seed import NodeIdentity, Seed, write_seed
from osqual.ssh.keys import make_key_pair
from osqual.ssh.machine import known_hosts_line

NODE_NAME = "osqual-build"

_USER_KEY = "id_ed25519"
_HOST_KEY = "host_ed25519"


@dataclass(frozen=True, kw_only=True)
class BuildIdentity:
    """The keys of a cache's builds; the private ones never leave `directory`."""

    directory: Path

    @property
    def ssh(self) -> SshIdentity:
        """What ssh needs to log in and to know the machine."""
        return SshIdentity(
            private_key=self.directory / _USER_KEY,
            public_key=self.directory / f"{_USER_KEY}.pub",
            known_hosts=self.directory / "known_hosts",
        )

    @property
    def public_key(self) -> str:
        """The text of the key that machines let in."""
        return self.ssh.public_key.read_text(encoding="utf-8").strip()

    @property
    def fingerprint(self) -> str:
        """What tells this identity from another cache's."""
        host = (self.directory / f"{_HOST_KEY}.pub").read_text(encoding="utf-8")
        return hashlib.sha256(f"{self.public_key}\n{host}".encode()).hexdigest()

    def seed(self, user: str, mac: str, directory: Path) -> Seed:
        """The first-boot seed for a build that logs in as `user`, written into `directory`.

        `mac` is that of the machine's only network card.
        """
        private = (self.directory / _HOST_KEY).read_text(encoding="utf-8")
        public = (self.directory / f"{_HOST_KEY}.pub").read_text(encoding="utf-8")
        return write_seed(
            directory,
            NodeIdentity(
                hostname=NODE_NAME,
                user=user,
                authorized_key=self.public_key,
                host_private_key=private,
                host_public_key=public,
                outside_mac=mac,
            ),
        )


def build_identity(scope: RunScope) -> BuildIdentity:
    """The identity of the cache directory, made when there is none yet."""
    cache = scope.settings.directories.cache
    directory = cache / "build-identity"
    known_hosts = directory / "known_hosts"  # written last
    if not known_hosts.exists():
        with wait_for(cache / "build-identity.lock", scope, "another run that makes build keys"):
            if not known_hosts.exists():
                _make(directory, scope)
    return BuildIdentity(directory=directory)


def _make(directory: Path, scope: RunScope) -> None:
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True, mode=0o700)
    directory.chmod(0o700)  # whatever the umask made of it
    for name in (_USER_KEY, _HOST_KEY):
        make_key_pair(directory / name, NODE_NAME, scope.cancellation)
    host = (directory / f"{_HOST_KEY}.pub").read_text(encoding="utf-8")
    write_atomic(directory / "known_hosts", known_hosts_line(NODE_NAME, host), mode=0o600)
