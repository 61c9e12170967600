"""Whether this machine can do the work: programs, acceleration, memory, space, network."""

import os
import platform
import shutil
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from osqual.cancellation import Cancellation
from osqual.errors import OsqualError
from osqual.process import run
from osqual.programs import inspect_programs
from osqual.qemu.acceleration import probe
from osqual.settings import Settings

MULTICAST_GROUP = "230.0.0.1"
ENOUGH_DISK_GB = 10
MIN_PYTHON = (3, 11)


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


def diagnose(settings: Settings, cancellation: Cancellation) -> list[Check]:
    """Every check, in the order people fix things."""
    return [
        *_programs(),
        _python(),
        _namespaces(),
        _acceleration(settings, cancellation),
        _memory(settings),
        *_space(settings),
        _ports(),
        _multicast(),
    ]


def _programs() -> Iterator[Check]:
    for item in inspect_programs():
        program = item.program
        if item.path:
            found = f"{item.version or 'present'} ({item.path})"
            yield Check(name=program.name, level=Level.OK, found=found)
        else:
            yield Check(
                name=program.name,
                level=Level.MISSING if program.required else Level.NOTE,
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


def _namespaces() -> Check:
    name = "user namespaces"
    try:
        done = run(["unshare", "--user", "--map-root-user", "true"], check=False, timeout_s=20)
    except OsqualError as error:
        return Check(name=name, level=Level.NOTE, found=error.brief)
    if done.exit_status == 0 or os.geteuid() == 0:
        return Check(name=name, level=Level.OK, found="available")
    return Check(
        name=name,
        level=Level.NOTE,
        found=f"not for this user ({done.stderr.strip()}); `debian:` bases cannot be made here",
        resolution="sysctl kernel.apparmor_restrict_unprivileged_userns=0 (Ubuntu), or use a "
        "base image from a URL",
    )


def _acceleration(settings: Settings, cancellation: Cancellation) -> Check:
    try:
        found = probe(settings, cancellation)
    except OsqualError as error:
        return Check(
            name="acceleration",
            level=Level.NOTE,
            found=error.brief,
            resolution=error.resolution,
        )
    level = Level.OK if found.accelerator == "kvm" else Level.NOTE
    return Check(
        name="acceleration",
        level=level,
        found=f"{found.accelerator}: {found.reason}",
        resolution="" if level is Level.OK else "nothing to do; runs take several times longer",
    )


def _memory(settings: Settings) -> Check:
    facts = dict(
        line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines() if ":" in line
    )
    available_mb = int(facts["MemAvailable"].split()[0]) // 1024
    wanted_mb = 3 * settings.qemu.memory_mb
    found = f"{available_mb} MB available; a cluster of 3 takes {wanted_mb} MB"
    if available_mb >= wanted_mb:
        return Check(name="memory", level=Level.OK, found=found)
    return Check(
        name="memory",
        level=Level.MISSING,
        found=found,
        resolution="free some memory, or set qemu.memory_mb in osqual.yaml",
    )


def _space(settings: Settings) -> Iterator[Check]:
    for kind, path in settings.directories:
        place = next(parent for parent in (path, *path.parents) if parent.exists())
        free_gb = shutil.disk_usage(place).free // 10**9
        found = f"{path}: {free_gb} GB free"
        if not os.access(place, os.W_OK):
            yield Check(
                name=f"{kind} directory",
                level=Level.MISSING,
                found=f"{path}: not writable",
                resolution=f"make it writable, or set OSQUAL_{kind.upper()}_DIR",
            )
        elif free_gb < ENOUGH_DISK_GB:
            yield Check(
                name=f"{kind} directory",
                level=Level.NOTE,
                found=found,
                resolution=f"{ENOUGH_DISK_GB} GB are comfortable; `osqual cache prune` frees space",
            )
        else:
            yield Check(name=f"{kind} directory", level=Level.OK, found=found)


def _ports() -> Check:
    try:
        with socket.socket() as probe_socket:
            probe_socket.bind(("127.0.0.1", 0))
    except OSError as error:
        return Check(
            name="ports",
            level=Level.MISSING,
            found=f"cannot listen on loopback: {error}",
            resolution="bring the loopback interface up",
        )
    return Check(name="ports", level=Level.OK, found="loopback can be listened on")


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
