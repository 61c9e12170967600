"""The packages of an image as a bill of materials: CycloneDX 1.6 in JSON.

The same image gives the same bytes: number and time come from the image.
"""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime

from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from osqual import __version__
from osqual.inventory.facts import Inventory, Package


def make_sbom(inventory: Inventory, *, name: str, image_id: str, built_at: float) -> str:
    """The document. `image_id` is that of the image, `sha256:…` where it is a file."""
    algorithm, _, digest = image_id.partition(":")
    image = Component(
        type=ComponentType.OPERATING_SYSTEM,
        name=name,
        version=image_id,
        bom_ref="image",
        description=inventory.os_name or None,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest)]
        if algorithm == "sha256"
        else [],
    )
    bom = Bom(serial_number=uuid.uuid5(uuid.NAMESPACE_URL, f"osqual:{image_id}"))
    bom.metadata.timestamp = datetime.fromtimestamp(built_at, UTC)
    bom.metadata.component = image
    bom.metadata.tools.components.add(
        Component(type=ComponentType.APPLICATION, name="osqual", version=__version__)
    )
    components = [_system(inventory), *_components(inventory)]
    for component in components:
        bom.components.add(component)
    bom.register_dependency(image, components)
    return f"{JsonV1Dot6(bom).output_as_string(indent=1)}\n"


def _system(inventory: Inventory) -> Component:
    return Component(
        type=ComponentType.OPERATING_SYSTEM,
        name=inventory.os_id or "unknown",
        version=inventory.os_version or None,
        bom_ref="system",
    )


def _components(inventory: Inventory) -> Iterator[Component]:
    """Each once: a database may name a package twice, such as keys that rpm trusts."""
    seen = set()
    for package in inventory.packages:
        purl = _purl(package, inventory)
        reference = str(purl)
        if reference not in seen:
            seen.add(reference)
            yield Component(
                type=ComponentType.LIBRARY,
                name=package.name,
                version=package.version,
                purl=purl,
                bom_ref=reference,
            )


def _purl(package: Package, inventory: Inventory) -> PackageURL:
    """As the purl specification has types `deb` and `rpm`: an rpm's epoch is a qualifier."""
    version, qualifiers = package.version, {"arch": package.architecture}
    if package.kind == "rpm":
        epoch, colon, rest = version.partition(":")
        if colon:
            version, qualifiers["epoch"] = rest, epoch
    if inventory.os_version:
        qualifiers["distro"] = f"{inventory.os_id}-{inventory.os_version}"
    if package.source and package.source != package.name:
        upstream = package.source
        if package.source_version and package.source_version != package.version:
            upstream += f"@{package.source_version}"
        qualifiers["upstream"] = upstream
    return PackageURL(
        type=package.kind,
        namespace=inventory.os_id or None,
        name=package.name,
        version=version,
        qualifiers={name: value for name, value in qualifiers.items() if value},
    )
