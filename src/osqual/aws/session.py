"""The door to boto3: clients that retry, and every failure as a named error.

Credentials come from boto3's normal chain (environment, profile, role, OIDC) and stay there.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from osqual.errors import InfrastructureError, InvalidInput, MissingProgram

if TYPE_CHECKING:
    from botocore.exceptions import ClientError

RETRIES = 10
_REFUSED = ("AuthFailure", "InvalidClientTokenId", "ExpiredToken", "UnrecognizedClientException")
_FORBIDDEN = ("UnauthorizedOperation", "AccessDenied", "AccessDeniedException")


class CloudError(InfrastructureError):
    """The cloud's API did not do what was asked; `code` is its own name for why."""

    def __init__(
        self, brief: str, *, code: str = "", details: str = "", resolution: str = ""
    ) -> None:
        super().__init__(brief, details=details, resolution=resolution)
        self.code = code


class MissingCredentials(InvalidInput):
    """There are no credentials for the cloud, or it does not accept them."""


def client(service: str, region: str) -> Any:
    """A client of one service in one region. Raises MissingProgram without boto3."""
    try:
        import boto3
        from botocore.config import Config
    except ImportError as error:
        raise MissingProgram(
            "The Python package boto3 is not installed.",
            resolution="install osqual with its extra: pip install 'osqual[aws]'",
        ) from error
    retries: Any = {"mode": "standard", "total_max_attempts": RETRIES}
    with calling(f"opening {service}"):
        return boto3.client(service, region_name=region, config=Config(retries=retries))


@contextmanager
def calling(what: str) -> Iterator[None]:
    """Turn what boto3 raises into MissingCredentials or CloudError."""
    from botocore.exceptions import (
        BotoCoreError,
        ClientError,
        NoCredentialsError,
        PartialCredentialsError,
        ProfileNotFound,
    )

    try:
        yield
    except (NoCredentialsError, PartialCredentialsError, ProfileNotFound) as error:
        raise MissingCredentials(
            "There are no credentials for AWS.",
            details=str(error),
            resolution="log in as for the AWS command line (environment, profile, or a role)",
        ) from error
    except ClientError as error:
        raise _client_error(what, error) from error
    except BotoCoreError as error:
        raise CloudError(f"AWS could not be asked: {what}.", details=str(error)) from error


def _client_error(what: str, error: "ClientError") -> MissingCredentials | CloudError:
    code = error.response.get("Error", {}).get("Code", "")
    if code in _REFUSED:
        return MissingCredentials(
            "AWS does not accept the credentials.",
            details=str(error),
            resolution="log in again",
        )
    return CloudError(
        f"AWS refused: {what}.",
        code=code,
        details=str(error),
        resolution="`osqual iam-policy` prints what must be allowed" if code in _FORBIDDEN else "",
    )


def endpoint_of(service: str) -> str | None:
    """Another endpoint than Amazon's, where the environment names one (as every AWS tool reads)."""
    return os.environ.get(f"AWS_ENDPOINT_URL_{service.upper()}") or os.environ.get(
        "AWS_ENDPOINT_URL"
    )
