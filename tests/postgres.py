"""A PostgreSQL server of a test's own, on a socket in its directory."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Server:
    """A server with one database, and more on demand."""

    root: Path

    @property
    def url(self) -> str:
        return self.database_url("osqual")

    def database_url(self, name: str) -> str:
        return f"postgresql+psycopg://osqual@/{name}?host={self.root}"

    def create(self, name: str) -> str:
        """A fresh database; its URL."""
        self.run("createdb", "-h", str(self.root), "-U", "osqual", name)
        return self.database_url(name)

    def run(self, *argv: str) -> None:
        """As another user where we are root: the server refuses to run as root."""
        user = ["setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups"]
        words = [*(user if os.geteuid() == 0 else []), *argv]
        subprocess.run(words, check=True, cwd="/", stdout=subprocess.DEVNULL)

    def start(self) -> None:
        options = f"-k {self.root} -c listen_addresses= -c fsync=off"
        log = str(self.root / "log")
        self.run("pg_ctl", "-D", str(self.root / "data"), "-l", log, "-o", options, "-w", "start")

    def stop(self) -> None:
        self.run("pg_ctl", "-D", str(self.root / "data"), "-m", "immediate", "-w", "stop")


@contextmanager
def running_server() -> Iterator[Server]:
    """A server while inside."""
    root = Path(tempfile.mkdtemp(prefix="oq-pg-"))
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        os.chown(root, nobody.pw_uid, nobody.pw_gid)
    found = Server(root)
    found.run("initdb", "-D", str(root / "data"), "-U", "osqual", "-A", "trust", "--no-sync")
    found.start()
    found.create("osqual")
    yield found
    found.stop()
    shutil.rmtree(root)
