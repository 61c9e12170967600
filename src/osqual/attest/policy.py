"""What a record must meet beside being proven: a policy file, checked. Pure but for its reading."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from osqual.errors import InvalidInput
from osqual.formats.documents import load_yaml
from osqual.formats.times import epoch


class Policy(BaseModel):
    """What `osqual verify --policy` asks for; without a file these defaults."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_age_days: float | None = Field(default=None, gt=0)
    """A record that is older does not count."""
    max_muted: int | None = Field(default=None, ge=0)
    """At most so many muted tests."""
    max_flaky: int | None = Field(default=None, ge=0)
    """At most so many tests that passed only when repeated."""
    suites: tuple[str, ...] = ()
    """Suites that must have been run."""


def read_policy(path: Path) -> Policy:
    """A policy file. Raises InvalidInput naming each key that is wrong."""
    try:
        content = load_yaml(path.read_text(encoding="utf-8"), str(path))
        return Policy.model_validate(content or {})
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"The policy {path} cannot be read.", details=str(error)) from error
    except ValidationError as error:
        problems = "\n".join(
            f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors()
        )
        raise InvalidInput(
            f"The policy {path} cannot be used.",
            details=problems,
            resolution="`osqual schema policy` prints what is known",
        ) from error


def objections(record: Mapping[str, Any], policy: Policy, now: datetime) -> list[str]:
    """Why a record does not meet the policy; nothing when it does."""
    found = []
    if record.get("verdict") != "qualified":
        found.append(f"the verdict is {record.get('verdict')}")
    if policy.max_age_days is not None:
        age = now - datetime.fromtimestamp(epoch(str(record.get("ended_at", ""))), UTC)
        if age > timedelta(days=policy.max_age_days):
            found.append(f"the record is {age.days} days old, {policy.max_age_days:g} are allowed")
        if age < -timedelta(hours=1):
            found.append("the record is from the future")
    for kind, most in (("muted", policy.max_muted), ("flaky", policy.max_flaky)):
        count = sum(len(suite.get(kind, ())) for suite in record.get("suites", ()))
        if most is not None and count > most:
            found.append(f"{count} tests are {kind}, {most} are allowed")
    ran = {suite["name"] for suite in record.get("suites", ()) if not suite.get("skipped")}
    found += [f"the suite {name} was not run" for name in policy.suites if name not in ran]
    return found
