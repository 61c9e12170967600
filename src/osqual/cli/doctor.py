"""`osqual doctor`: can this machine do the work?"""

import os
from pathlib import Path

import click

from osqual.cli.common import current_settings, json_option, print_json


@click.command()
@json_option
def doctor(*, as_json: bool) -> int:
    """Check this machine and say how to mend what is missing.

    Looks at external programs and their versions, hardware acceleration (by booting a kernel, not
    by believing /dev/kvm), memory, disk space and loopback networking. What only a cloud needs
    (Packer, Terraform or OpenTofu) counts when the catalogue here has configurations for it. Exit
    code 1 when something that is needed is missing.
    """
    from dataclasses import asdict

    from osqual.cancellation import Cancellation
    from osqual.diagnosis import Level, diagnose
    from osqual.errors import ExitCode

    checks = diagnose(current_settings(), Cancellation(), _platforms())
    if as_json:
        print_json([asdict(check) for check in checks])
    else:
        signs = {Level.OK: ("✓", "green"), Level.NOTE: ("·", "yellow"), Level.MISSING: ("✗", "red")}
        for check in checks:
            sign, color = signs[check.level]
            click.echo(f"{click.style(sign, fg=color)} {check.name:<20} {check.found}")
            if check.resolution and check.level is not Level.OK:
                click.echo(f"  {'':<20} To do: {check.resolution}")
    missing = any(check.level is Level.MISSING for check in checks)
    return int(ExitCode.REJECTED if missing else ExitCode.OK)


def _platforms() -> set[str]:
    """The platforms of the catalogue that the current directory is in; none without one."""
    from osqual.catalogue.catalogue import open_catalogue
    from osqual.errors import NotFound

    try:
        catalogue = open_catalogue(Path(), environ=os.environ)
    except NotFound:
        return set()
    return {found.dimensions.get("platform", "") for found in catalogue.configurations()}
