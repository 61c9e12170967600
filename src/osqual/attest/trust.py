"""Whose signatures a catalogue believes, by its settings or by what a person gives instead."""

from collections.abc import Sequence
from pathlib import Path

from osqual.attest.keyless import Keyless, Sigstore
from osqual.attest.keys import read_public_key
from osqual.attest.verify import Trust
from osqual.settings import Attest, TrustedIdentity


def trust_of(
    settings: Attest,
    root: Path,
    keys: Sequence[Path] = (),
    identities: Sequence[TrustedIdentity] = (),
) -> Trust:
    """Keys and identities that were given; only where there are none, those of the settings.

    Raises InvalidInput for a key that cannot be read.
    """
    if not keys and not identities:
        keys = [root / name for name in settings.trusted]
        identities = settings.identities
    keyless = Keyless(identities=identities, sigstore=sigstore_of(settings, root))
    return Trust(
        keys=[read_public_key(path) for path in keys], keyless=keyless if identities else None
    )


def sigstore_of(settings: Attest, root: Path) -> Sigstore:
    """The instance that the settings name."""
    path = None if settings.sigstore is None else root / Path(settings.sigstore).expanduser()
    return Sigstore(trust_config=path)
