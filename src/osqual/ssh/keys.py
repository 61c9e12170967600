"""Key pairs for one run, made by OpenSSH's own tool."""

from pathlib import Path

from osqual.cancellation import Cancellation
from osqual.processes.process import run


def make_key_pair(private_key: Path, comment: str, cancellation: Cancellation) -> Path:
    """Make an Ed25519 pair without a passphrase and return the public key's file.

    A pair that is there already is kept. The private key is readable by its owner alone.
    """
    public_key = private_key.with_name(private_key.name + ".pub")
    if not public_key.exists():
        private_key.unlink(missing_ok=True)
        private_key.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment]
        run([*argv, "-f", str(private_key)], cancellation=cancellation)
    return public_key
