"""Whether a product's installer is where the profile says, before anything is built."""

from collections.abc import Mapping
from typing import Any

import httpx

from osqual.effects.scope import RunScope
from osqual.errors import InvalidInput
from osqual.products.definition import Product

TIMEOUT_S = 30.0
# Some servers answer only what they are really asked for.
_ASK_AGAIN = (403, 405, 501)


class InstallerMissing(InvalidInput):
    """The URL of the installer does not answer with one."""


def check_installer(product: Product, profile: Mapping[str, Any], scope: RunScope) -> None:
    """Ask for the installer without fetching it. Raises InstallerMissing.

    It is the nodes that fetch it: that this machine does not reach the server is a warning.
    """
    if not product.installer:
        return
    url = profile.get(product.installer)
    if not url:
        raise InstallerMissing(
            f"The profile does not set {product.installer}.",
            details=f"{product.name} is installed from there.",
        )
    try:
        status = _ask(str(url))
    except httpx.InvalidURL as error:
        raise InstallerMissing(f"{product.installer}: {url!r} is not a URL.") from error
    except httpx.HTTPError as error:
        scope.warn(f"the installer could not be asked for from here: {url}: {error}")
        return
    if status >= 400:
        raise InstallerMissing(
            f"The installer {url} answers with status {status}.",
            resolution=f"correct {product.installer} in the profile",
        )


def _ask(url: str) -> int:
    with httpx.Client(timeout=TIMEOUT_S, follow_redirects=True) as client:
        status = client.head(url).status_code
        if status in _ASK_AGAIN:
            with client.stream("GET", url, headers={"Range": "bytes=0-0"}) as response:
                status = response.status_code
    return status
