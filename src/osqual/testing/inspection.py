"""What the image of a run holds: hygiene as results, the difference from its base, an SBOM.

A fault whose policy is `fail` is a failed test of a suite of its own, as with the checks of the
nodes, and keeps the image from being published; `warn` is a remark.
"""

import json
import time
from collections.abc import Callable
from pathlib import Path

from osqual.errors import InfrastructureError
from osqual.inventory.checks import SUITE, Finding, find_faults
from osqual.inventory.collecting import pack, read_inventory_file
from osqual.inventory.diff import diff_images
from osqual.inventory.facts import Inventory, parse
from osqual.inventory.kept import BASE_INVENTORY, DIFF, DIRECTORY, INVENTORY, SBOM
from osqual.model import Image, Outcome, SuiteResult, TestResult
from osqual.processes.process import write_atomic
from osqual.run.context import RunContext, need
from osqual.testing.parts import with_signatures

NOT_LOOKED_AT = "The image was not looked at for hygiene: none of QEMU's builders made it here."


def inspect_image(context: RunContext) -> SuiteResult:
    """Look at the run's image and leave what was found in the run directory; the findings.

    Raises InfrastructureError when what was found at the build cannot be read.
    """
    image = need(context.image)
    if image.inventory is None or image.base_inventory is None:
        return SuiteResult(suite=SUITE, only_against=True, remarks=(NOT_LOOKED_AT,))
    directory = context.scope.directory / DIRECTORY
    directory.mkdir(parents=True, exist_ok=True)
    hide = context.scope.secrecy
    here = _take(image.inventory, directory / INVENTORY, hide)
    base = _take(image.base_inventory, directory / BASE_INVENTORY, hide)
    document = diff_images(base, here).document()
    write_atomic(directory / DIFF, json.dumps(document, indent=1) + "\n")
    write_atomic(directory / SBOM, _sbom(here, image, context))
    return _results(here, base, context)


def _take(kept: Path, target: Path, hide: Callable[[str], str]) -> Inventory:
    """The inventory, and a copy of it for the run; a secret may stand in the name of a file."""
    try:
        text = hide(read_inventory_file(kept))
        write_atomic(target, pack(text))
    except (OSError, EOFError) as error:
        raise InfrastructureError(
            "What the image holds is not known any more.",
            details=f"{kept}: {error}",
            resolution="build it again with --cold",
        ) from error
    return parse(text)


def _sbom(inventory: Inventory, image: Image, context: RunContext) -> str:
    """The library is loaded here, for it takes a quarter of a second."""
    from osqual.inventory.sbom import make_sbom

    built_at = (image.build_record or {}).get("build_time", time.time())
    (image_id,) = image.ids.values()
    return make_sbom(
        inventory, name=context.configuration.path, image_id=image_id, built_at=built_at
    )


def _results(image: Inventory, base: Inventory, context: RunContext) -> SuiteResult:
    policy = context.scope.settings.policy
    found = find_faults(image, base, policy.hygiene, policy.hygiene_accepts)
    failing = [_failed(one) for one in found if policy.hygiene[one.check] == "fail"]
    remarks = [f"The image: {one.words}." for one in found if policy.hygiene[one.check] == "warn"]
    result = SuiteResult(
        suite=SUITE, results=tuple(failing), remarks=tuple(remarks), only_against=True
    )
    return with_signatures(result)


def _failed(finding: Finding) -> TestResult:
    return TestResult(
        suite=SUITE, test_id=finding.test_id, outcome=Outcome.FAIL, message=finding.words
    )
