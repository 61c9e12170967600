"""Our own Debian bases: mmdebstrap unpacks a suite, and three scripts make a bootable disk of it.

No root and no loop device is needed: everything happens in a user namespace.
"""

import hashlib
import shlex
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

from filelock import FileLock, Timeout

from osqual.bases.cache import BaseCache, digest_file, key_name
from osqual.bases.debian.failure import check_possible, explain_failure
from osqual.bases.debian.packages import packages
from osqual.bases.debian.unpacked import make_unpacked, remove_work
from osqual.bases.image import BaseImage
from osqual.bases.inspect import inspect_disk
from osqual.bases.reference import DebianReference
from osqual.cancellation import Cancellation
from osqual.effects.scope import RunScope
from osqual.errors import OsqualError
from osqual.processes.job import Job, JobState
from osqual.processes.process import find_program
from osqual.store.database import Row
from osqual.teardown import ResourceKind, place_of

PROGRAMS = ("mmdebstrap", "qemu-img", "unshare")
DISK_MIB = 2048
POLL_S = 0.1
# mmdebstrap tidies up when it is interrupted; what it leaves is removed afterwards anyway.
GRACE_S = 2.0
END_LIMIT_S = 300.0

# What of mmdebstrap's log says that something new has begun.
_PHASES = (
    ("I: running apt-get update", "reading the mirror's index"),
    ("I: downloading packages", "downloading packages"),
    ("I: extracting archives", "unpacking"),
    ("I: installing essential", "installing the essential packages"),
    ("I: installing remaining", "installing the other packages"),
    ('/disk.sh" ', "writing the disk"),
)
GUEST_FILES = (
    *("osqual-seed", "osqual-seed.service"),
    *("osqual-grow", "osqual-grow.service"),
    *("osqual-resolv", "osqual-resolv.service", "osqual-resolv.path"),
)
_RESULTS = ("kernel", "initrd", "disk.qcow2")
_SCRIPTS = ("prepare.sh", "configure.sh", "disk.sh")


def recipe_digest(reference: DebianReference, mirror: str | None) -> str:
    """Everything of ours that shapes the base, as one sha256: a change makes bases anew."""
    parts = [reference.suite, reference.seed, mirror or "", str(DISK_MIB)]
    parts += packages(reference.seed)
    parts += _uploads().values()
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def debian_key(reference: DebianReference, mirror: str | None) -> str:
    """The key of the base in the cache."""
    return f"{reference.text}={recipe_digest(reference, mirror)}"


def build_debian(
    reference: DebianReference, key: str, cache: BaseCache, scope: RunScope
) -> BaseImage:
    """Make the base and put it into the cache; the caller holds the key's lock.

    A build that another process left running or finished is taken over instead of a new one.
    """
    work = cache.partial(key)
    lock = cache.lock_path(key_name(key))
    row = scope.own("base", f"base {reference.text}", directory=str(work), lock=str(lock))
    try:
        job = _left_behind(work, scope) or _start(reference, work, scope)
        row.created(str(job.pid))
        _wait(job, reference, scope)
        return _import(reference, key, work, cache, scope)
    except OsqualError:
        _keep_log(reference, work, scope)
        raise
    finally:
        remove_work(work, scope.cancellation.shielded(END_LIMIT_S, f"removing {work}"))
        row.ended()


def check_buildable(cancellation: Cancellation) -> None:
    """Raise MissingProgram or InfrastructureError where no base can be made."""
    for program in PROGRAMS:
        find_program(program)
    check_possible(cancellation)


def _is_being_made(row: Row) -> bool:
    with _free(row) as free:
        return free and place_of(row).exists()


def _end_making(row: Row, scope: RunScope) -> None:
    with _free(row) as free:
        if free:
            work = place_of(row)
            Job(work / "job").end(grace_s=GRACE_S, cancellation=scope.cancellation)
            remove_work(work, scope.cancellation)


@contextmanager
def _free(row: Row) -> Iterator[bool]:
    """Whether nobody else makes the same base now: another run may have taken it over."""
    lock = FileLock(row["details"]["lock"])
    try:
        lock.acquire(timeout=0)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


BASE = ResourceKind(is_there=_is_being_made, end=_end_making)
"""A base image in the making."""


def _left_behind(work: Path, scope: RunScope) -> Job | None:
    job = Job(work / "job")
    if job.was_started:
        whole = all((work / name).exists() for name in _RESULTS)
        if job.state() is JobState.RUNNING or (job.exit_status == 0 and whole):
            return job
    remove_work(work, scope.cancellation)
    return None


def _wait(job: Job, reference: DebianReference, scope: RunScope) -> None:
    scope.progress(f"making the base image {reference.text} from Debian's mirror")
    try:
        _follow(job, reference, scope)
    finally:
        if job.state() is JobState.RUNNING:
            token = scope.cancellation.shielded(END_LIMIT_S, "ending mmdebstrap")
            job.end(grace_s=GRACE_S, cancellation=token)
    if job.exit_status != 0:
        raise explain_failure(reference, job)


def _follow(job: Job, reference: DebianReference, scope: RunScope) -> None:
    """Wait for the end, and say what mmdebstrap says that it does."""
    with job.stderr.open(errors="replace") as log:
        rest = ""
        while True:
            running = job.state() is JobState.RUNNING
            *lines, rest = (rest + log.read()).split("\n")
            for phase in (phase for line in lines for mark, phase in _PHASES if mark in line):
                scope.progress(f"{reference.text}: {phase}")
            if not running:
                return
            scope.cancellation.sleep(POLL_S)


def _start(reference: DebianReference, work: Path, scope: RunScope) -> Job:
    check_buildable(scope.cancellation)
    work.mkdir(parents=True)
    for name, content in _uploads().items():
        (work / name).write_text(content, encoding="utf-8")
    argv = mmdebstrap_command(reference, work, scope.settings.qemu.debian_mirror)
    return Job.start(work / "job", argv, env={"TMPDIR": str(make_unpacked(work))})


def mmdebstrap_command(reference: DebianReference, work: Path, mirror: str | None) -> list[str]:
    """The command that leaves `disk.qcow2`, `kernel` and `initrd` in `work`.

    Everything goes in and out through mmdebstrap's own channel: the root of the namespace is
    another user, who cannot read or write the home directory that this may be installed in.
    """
    inside = "/tmp/osqual"  # noqa: S108 - of the new system, which nobody else sees
    prepare = [
        'mkdir -p "$1/tmp/osqual"',
        *(f"upload {shlex.quote(str(work / name))} {inside}/{name}" for name in _uploads()),
        f'sh "$1{inside}/prepare.sh" "$1"',
    ]
    customize = [
        f'chroot "$1" sh {inside}/configure.sh',
        f'sh "$1{inside}/disk.sh" "$1" {DISK_MIB}',
        *(f"download {inside}/{name} {shlex.quote(str(work / name))}" for name in _RESULTS),
    ]
    return [
        "mmdebstrap",
        "--mode=unshare",
        "--variant=minbase",
        "--format=null",
        "--skip=cleanup",  # the disk is made before it, and does it better
        f"--include={','.join(packages(reference.seed))}",
        *(f"--essential-hook={hook}" for hook in prepare),
        *(f"--customize-hook={hook}" for hook in customize),
        reference.suite,
        "-",
        *([mirror] if mirror else []),
    ]


def _import(
    reference: DebianReference, key: str, work: Path, cache: BaseCache, scope: RunScope
) -> BaseImage:
    disk = work / "disk.qcow2"
    facts = inspect_disk(disk, reference.text, scope.cancellation)
    image = BaseImage(
        reference=reference.text,
        digest=digest_file(disk, scope.cancellation),
        path=disk,
        virtual_size=facts.virtual_size,
        format=facts.format,
        kind="debian",
    )
    return cache.add(key, disk, image, kernel=work / "kernel", initrd=work / "initrd")


def _keep_log(reference: DebianReference, work: Path, scope: RunScope) -> None:
    """The log is evidence: it stays in the run directory."""
    log = Job(work / "job").stderr
    if log.is_file():
        scope.directory.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(log, scope.directory / f"base-{reference.suite}.log")


def _uploads() -> dict[str, str]:
    """Everything of ours that the new system is made with, by file name."""
    sources = [(files("osqual.bases.debian"), name) for name in _SCRIPTS]
    sources += [(files("osqual.qemu.guest"), name) for name in GUEST_FILES]
    return {name: (package / name).read_text(encoding="utf-8") for package, name in sources}
