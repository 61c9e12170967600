"""Resources of the journal as text and as JSON."""

from collections.abc import Mapping
from typing import Any

from osqual.formats.times import elapsed_s
from osqual.store.database import Row
from osqual.teardown import Kinds, is_there

_THERE = {True: "there", False: "gone", None: "unknown"}
_RESERVED = ("port", "network", "limit")
"""Kinds that are only set aside for a run: there is nothing of them to look at."""
_PROCESSES = ("vm", "job", "base")
HEADER = f"{'run':<22}  {'kind':<11} {'state':<8} {'age':>13}  name and id"


def resource_document(row: Row, kinds: Kinds, now: float) -> dict[str, Any]:
    """A row with its age in seconds, and whether the thing is there (null: nobody can tell)."""
    names = ("run_id", "step", "kind", "name", "external_id", "state", "kept", "details")
    return {
        **{name: row[name] for name in names},
        "there": is_there(row, kinds),
        "age_s": round(elapsed_s(row["intended_at"], now), 1),
        "expires_in_s": None if row["expires_at"] is None else round(row["expires_at"] - now, 1),
    }


def resource_line(document: Mapping[str, Any]) -> str:
    """One line under the header: run, kind, whether it is there, age, name and id."""
    hours, minutes = divmod(int(document["age_s"]) // 60, 60)
    kept = "  kept" if document["kept"] else ""
    state = "reserved" if document["kind"] in _RESERVED else _THERE[document["there"]]
    identity = document["external_id"] or document["state"]
    pid = "process " if document["kind"] in _PROCESSES and identity.isdecimal() else ""
    named = "" if identity == document["name"] else f"  {pid}{identity}"
    return (
        f"{document['run_id']}  {document['kind']:<11} {state:<8} "
        f"{hours:4d} h {minutes:02d} min  {document['name']}{named}{kept}"
    )
