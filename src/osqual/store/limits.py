"""Quotas that runs share: what a run takes of them are open rows in the journal, ended with it.

Kept machines go on counting, and so do those of a run whose process has died until somebody ends
them: the account has them all the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, insert, select, text

from osqual.errors import LimitReached
from osqual.store.schema import OPEN_STATES, resources

KIND = "limit"
CLAIM_LOCK = 7_167_826
"""A number that only osqual takes for an advisory lock."""


@dataclass(frozen=True, kw_only=True)
class Claim:
    """So much of a quota, of which there is `at_most` so much."""

    name: str
    amount: int
    at_most: int


def take(connection: Connection, run_id: str, claims: Sequence[Claim], now: float) -> None:
    """Take all of it for a run, or raise LimitReached. The transaction must have written before:

    SQLite lets in one writer at a time; PostgreSQL is told to.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SELECT pg_advisory_xact_lock({CLAIM_LOCK})"))
    for claim in claims:
        used = _used(connection, claim.name)
        if used + claim.amount > claim.at_most:
            raise LimitReached(
                f"The limit {claim.name} is reached: {used} of {claim.at_most} are in use.",
                resolution="wait for other runs, or raise it under `limits` in osqual.yaml",
            )
        connection.execute(
            insert(resources).values(
                run_id=run_id,
                kind=KIND,
                name=claim.name,
                state="created",
                external_id=str(claim.amount),
                details={"amount": claim.amount},
                kept=False,
                intended_at=now,
            )
        )


def _used(connection: Connection, name: str) -> int:
    is_open = resources.c.state.in_(OPEN_STATES)
    query = select(resources.c.details).where(is_open & (resources.c.kind == KIND))
    rows = connection.execute(query.where(resources.c.name == name)).scalars()
    return sum(int(details["amount"]) for details in rows)
