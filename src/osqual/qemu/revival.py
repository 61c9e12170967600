"""A machine that goes on from saved memory: the time of now, and chance of its own."""

import secrets
import tempfile
import time
from pathlib import Path

from osqual.ssh.machine import Machine

# The device tells the guest that it was restored, so that Linux 5.18 and later makes its random
# pool unlike that of every other machine from the same memory. Older ones get seed and ioctl.
GENERATION = ("-device", "vmgenid,guid=auto")

# Standard input is random; RNDRESEEDCRNG (random(4)) makes it count at once.
_REVIVE = """
date -u -s "@$1" >/dev/null
cat >/dev/urandom
if command -v perl >/dev/null; then
    perl -e 'open(my $pool, ">", "/dev/urandom") and ioctl($pool, 0x5207, 0)' || :
fi
"""


def revive(machine: Machine) -> None:
    """Set the guest's clock, which stood while it was saved, and stir its random pool."""
    with tempfile.NamedTemporaryFile() as random:
        random.write(secrets.token_bytes(512))
        random.flush()
        machine.run(
            ["sh", "-c", _REVIVE, "revive", f"{time.time():.3f}"],
            sudo=True,
            stdin=Path(random.name),
        )
