"""Evidence of a run, copied to where others can read it: a shared directory, or S3.

Logs, consoles, events and test reports; never keys, disks or Terraform's state.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

from osqual.errors import InfrastructureError, InvalidInput
from osqual.inventory.kept import FILES as IMAGE_FILES
from osqual.settings import Settings

SCHEME = "s3://"
SUFFIXES = (".log", ".xml", ".jsonl", ".txt", ".html")
NAMES = ("stdout", "stderr", "exit", *IMAGE_FILES)
# Beside the evidence proper: what went into the run, without keys, disks or states.
INPUTS = ("build/packer.json", "cost.json")


def keep_evidence(directory: Path, run_id: str, settings: Settings) -> str | None:
    """Copy a run's evidence to where the settings say; where it is then, None for nowhere.

    Copying again replaces what was copied. Raises InfrastructureError.
    """
    if settings.evidence is None:
        return None
    target = f"{settings.evidence.rstrip('/')}/{run_id}"
    if settings.evidence.startswith(SCHEME):
        _upload(directory, target)
    else:
        _copy(directory, Path(target))
    return target


def evidence_files(directory: Path) -> Iterator[Path]:
    """The files that are evidence."""
    for path in sorted(directory.rglob("*")):
        named = path.suffix in SUFFIXES or path.name in NAMES
        if named and path.is_file() and not path.is_symlink():
            yield path


def evidence_and_inputs(directory: Path) -> list[Path]:
    """The same with what went into the run: all that others may be given."""
    found = {path for pattern in INPUTS for path in directory.glob(pattern)}
    kept = (path for path in found if path.is_file() and not path.is_symlink())
    return sorted({*kept, *evidence_files(directory)})


def _copy(directory: Path, target: Path) -> None:
    try:
        for path in evidence_files(directory):
            place = target / path.relative_to(directory)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place)
    except OSError as error:
        raise _failed(str(target), error) from error


def _upload(directory: Path, target: str) -> None:
    """The client reads region, keys and AWS_ENDPOINT_URL from the environment."""
    try:
        import boto3
        from boto3.exceptions import Boto3Error
        from botocore.exceptions import BotoCoreError, ClientError
    except ImportError as error:
        raise InvalidInput(
            f"The evidence cannot be copied to {target}.",
            details=str(error),
            resolution="install what reads S3: pip install 'osqual[aws]'",
        ) from error
    bucket, _, prefix = target.removeprefix(SCHEME).partition("/")
    try:
        client = boto3.client("s3")
        for path in evidence_files(directory):
            client.upload_file(str(path), bucket, f"{prefix}/{path.relative_to(directory)}")
    except (Boto3Error, BotoCoreError, ClientError, OSError) as error:
        raise _failed(target, error) from error


def _failed(target: str, error: Exception) -> InfrastructureError:
    return InfrastructureError(
        f"The evidence cannot be copied to {target}.",
        details=str(error),
        resolution="make it writable for the workers, or correct `evidence` in osqual.yaml; the "
        "run directory still has it all",
    )
