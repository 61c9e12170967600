"""Whether this machine can do the work: programs, acceleration, memory, space, network."""

import os
import platform
import shutil
import socket
import sys
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from osqual.bases.debian.failure import check_possible
from osqual.cancellation import Cancellation
from osqual.errors import InfrastructureError, OsqualError
from osqual.processes.programs import PROGRAMS, TERRAFORM, inspect_programs, terraform_program
from osqual.qemu.acceleration import Acceleration, NoAcceleration, probe
from osqual.qemu.footprint import machines_room
from osqual.qemu.ports import PORT_RANGE, reserved_group, reserved_ports
from osqual.room import measure_room
from osqual.settings import Settings

MULTICAST_GROUP = "230.0.0.1"
ENOUGH_DISK_GB = 10
MIN_PYTHON = (3, 11)
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


class Level(StrEnum):
    """How a check ended: `missing` stops the main job, `note` does not."""

    OK = "ok"
    NOTE = "note"
    MISSING = "missing"


@dataclass(frozen=True, kw_only=True)
class Check:
    """One thing that was looked at; `resolution` says what to do unless it is ok."""

    name: str
    level: Level
    found: str
    resolution: str = ""


def diagnose(
    settings: Settings, cancellation: Cancellation, platforms: Collection[str] = ()
) -> list[Check]:
    """Every check, in the order people fix things; `platforms` are those of the catalogue."""
    acceleration: Acceleration | OsqualError
    try:
        acceleration = probe(settings, cancellation)
    except OsqualError as error:
        acceleration = error
    accelerator = acceleration.accelerator if isinstance(acceleration, Acceleration) else "tcg"
    return [
        *_programs(settings, platforms),
        _python(),
        _making_bases(cancellation),
        _acceleration(acceleration),
        _memory(settings, accelerator),
        *_space(settings),
        _ports(),
        _multicast(),
    ]


def _programs(settings: Settings, platforms: Collection[str]) -> Iterator[Check]:
    """Terraform is spoken of only where a configuration needs it."""
    wanted = [program for program in PROGRAMS if program is not TERRAFORM]
    if "aws" in platforms:
        wanted.append(terraform_program(settings.terraform.program))
    for item in inspect_programs(wanted):
        program = item.program
        if item.path:
            found = f"{item.version or 'present'} ({item.path})"
            yield Check(name=program.name, level=Level.OK, found=found)
        else:
            yield Check(
                name=program.name,
                level=Level.MISSING if program.platform in ("", *platforms) else Level.NOTE,
                found=f"not found; needed for {program.purpose}",
                resolution=item.install,
            )


def _python() -> Check:
    version = platform.python_version()
    if sys.version_info >= MIN_PYTHON:
        return Check(name="python", level=Level.OK, found=f"{version} ({sys.executable})")
    return Check(
        name="python", level=Level.MISSING, found=version, resolution="use Python 3.11 or newer"
    )


def _making_bases(cancellation: Cancellation) -> Check:
    name = "making bases"
    try:
        check_possible(cancellation)
    except OsqualError as error:
        return _failed(name, error)
    if not KEYRING.is_file():
        return Check(
            name=name,
            level=Level.NOTE,
            found=f"no {KEYRING}: Debian's signatures cannot be checked",
            resolution="apt-get install debian-archive-keyring",
        )
    return Check(name=name, level=Level.OK, found="user namespaces, space and Debian's keys")


def _failed(name: str, error: OsqualError, level: Level = Level.NOTE) -> Check:
    found = " ".join(part.strip() for part in (error.brief, error.details) if part)
    return Check(name=name, level=level, found=found, resolution=error.resolution)


def _acceleration(found: Acceleration | OsqualError) -> Check:
    name = "acceleration"
    if isinstance(found, OsqualError):
        missing = isinstance(found, NoAcceleration)
        return _failed(name, found, Level.MISSING if missing else Level.NOTE)
    level = Level.OK if found.accelerator == "kvm" else Level.NOTE
    return Check(
        name=name,
        level=level,
        found=f"{found.accelerator}: {found.reason}",
        resolution="" if level is Level.OK else "nothing to do; runs take several times longer",
    )


def _memory(settings: Settings, accelerator: str) -> Check:
    available_mb = measure_room(settings.directories.state).memory_mb
    wanted_mb = machines_room(
        count=3, memory_mb=settings.qemu.memory_mb, accelerator=accelerator
    ).memory_mb
    found = f"{available_mb} MB available; a cluster of 3 takes {wanted_mb} MB"
    if available_mb >= wanted_mb:
        return Check(name="memory", level=Level.OK, found=found)
    return Check(
        name="memory",
        level=Level.MISSING,
        found=found,
        resolution="free some memory, or set qemu.memory_mb in osqual.yaml",
    )


def check_directories(settings: Settings) -> None:
    """Raise InfrastructureError for a directory of ours that cannot be made or written."""
    for kind, path in settings.directories:
        check_directory(kind, path)


def check_directory(kind: str, path: Path) -> Path:
    """The nearest directory that is there, in which the rest can be made."""
    place = next(parent for parent in (path, *path.parents) if os.path.lexists(parent))
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        raise InfrastructureError(
            f"Cannot write to the {kind} directory {path}.",
            details=f"{place} is not "
            + ("yours to write to." if place.is_dir() else "a directory."),
            resolution=f"make it writable, or set OSQUAL_{kind.upper()}_DIR to a directory that is",
        )
    return place


def _space(settings: Settings) -> Iterator[Check]:
    for kind, path in settings.directories:
        try:
            place = check_directory(kind, path)
        except InfrastructureError as error:
            yield _failed(f"{kind} directory", error, Level.MISSING)
            continue
        free_gb = shutil.disk_usage(place).free // 10**9
        found = f"{path}: {free_gb} GB free"
        if free_gb < ENOUGH_DISK_GB:
            yield Check(
                name=f"{kind} directory",
                level=Level.NOTE,
                found=found,
                resolution=f"{ENOUGH_DISK_GB} GB are comfortable; `osqual cache prune` frees space",
            )
        else:
            yield Check(name=f"{kind} directory", level=Level.OK, found=found)


def _ports() -> Check:
    """Reserved as for a cluster: ports of the loopback and a multicast group."""
    try:
        with reserved_ports(3), reserved_group():
            pass
    except OsqualError as error:
        return _failed("ports", error, Level.MISSING)
    found = f"free ones of the loopback between {PORT_RANGE.start} and {PORT_RANGE.stop - 1}"
    return Check(name="ports", level=Level.OK, found=found)


def _multicast() -> Check:
    name = "node network"
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe_socket:
            probe_socket.bind(("", 0))
            member = socket.inet_aton(MULTICAST_GROUP) + socket.inet_aton("127.0.0.1")
            probe_socket.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
    except OSError as error:
        return Check(
            name=name,
            level=Level.MISSING,
            found=f"no multicast on loopback: {error}",
            resolution="ip route add 224.0.0.0/4 dev lo",
        )
    return Check(name=name, level=Level.OK, found="multicast on loopback works")
