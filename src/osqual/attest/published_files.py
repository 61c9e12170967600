"""The published files that a configuration, an image id or a disk image means."""

import hashlib
from pathlib import Path

from osqual.attest.verify import Published
from osqual.catalogue.catalogue import Catalogue
from osqual.catalogue.facts import read_facts
from osqual.catalogue.published import parse_images
from osqual.catalogue.withdrawn import Withdrawal, read_withdrawn
from osqual.errors import NotFound
from osqual.model import Configuration

DISK_SUFFIXES = (".qcow2", ".img", ".raw")


def find_published(catalogue: Catalogue, what: str) -> Published:
    """Raises NotFound when nothing is published under that name."""
    if Path(what).suffix in DISK_SUFFIXES and Path(what).is_file():
        return _by_image(catalogue, f"sha256:{_digest(Path(what))}")
    if what.startswith(("ami-", "sha256:")):
        return _by_image(catalogue, what)
    return read_published_files(catalogue, catalogue.configuration(what))


def read_published_files(catalogue: Catalogue, configuration: Configuration) -> Published:
    """What is published for one configuration."""
    names = catalogue.conventions.files
    texts = {
        name: _text(configuration.directory / name)
        for name in (names.images, names.record, names.attestation)
    }
    return Published(
        configuration=configuration.path,
        images=parse_images(texts[names.images], names.images),
        files={name: texts[name] for name in (names.images, names.record)},
        record=texts[names.record],
        attestation=texts[names.attestation],
        withdrawn={
            image: str(entry)
            for image, entry in read_withdrawn(catalogue.root).items()
            if entry.withdrawal is Withdrawal.REVOKED
        },
    )


def _by_image(catalogue: Catalogue, image: str) -> Published:
    facts, _ = read_facts(catalogue)
    found = [item for item in facts if image in item.images.values()]
    if not found:
        raise NotFound(
            f"No configuration publishes {image}.",
            resolution="`osqual find` lists what is published",
        )
    # Configurations of one recipe share an image: any of them that is proven will do, the best
    # standing first.
    chosen = min(found, key=lambda item: (item.standing != "qualified", item.path))
    return read_published_files(catalogue, catalogue.configuration(catalogue.root / chosen.path))


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode()
    except FileNotFoundError:
        return ""
    except (OSError, ValueError) as error:
        raise NotFound(f"{path} cannot be read.", details=str(error)) from error
