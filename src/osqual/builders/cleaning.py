"""The script that takes the build's traces out of the machine: the same for both builders."""

import hashlib
import shlex
from importlib.resources import files

SCRIPT_NAME = "osqual-clean.sh"


def clean_script() -> str:
    """The script's text. It needs root, or sudo without a password."""
    return (files("osqual.builders") / "clean.sh").read_text(encoding="utf-8")


def clean_digest() -> str:
    """What tells one way of cleaning from another."""
    return hashlib.sha256(clean_script().encode()).hexdigest()


def key_variable(public_key: str) -> tuple[str, str]:
    """The environment variable that tells the script which key to remove."""
    return "OSQUAL_BUILD_KEY", public_key.split()[1]


def shutdown_command(user: str) -> str:
    """Power off in an orderly way, whoever logged in."""
    words = ["systemctl", "poweroff"]
    return shlex.join(words if user == "root" else ["sudo", "-n", *words])
