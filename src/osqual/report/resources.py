"""Resources of the journal as text and as JSON."""

from collections.abc import Mapping
from typing import Any

from osqual.store.store import Row
from osqual.teardown import Kinds, is_there

_THERE = {True: "there", False: "gone", None: "?"}


def resource_document(row: Row, kinds: Kinds, now: float) -> dict[str, Any]:
    """A row with its age in seconds, and whether the thing is there (null: nobody can tell)."""
    names = ("run_id", "step", "kind", "name", "external_id", "state", "kept", "details")
    return {
        **{name: row[name] for name in names},
        "there": is_there(row, kinds),
        "age_s": round(now - row["intended_at"], 1),
        "expires_in_s": None if row["expires_at"] is None else round(row["expires_at"] - now, 1),
    }


def resource_line(document: Mapping[str, Any]) -> str:
    """One line: run, kind, whether it is there, age, name."""
    hours, minutes = divmod(int(document["age_s"]) // 60, 60)
    kept = "  kept" if document["kept"] else ""
    return (
        f"{document['run_id']}  {document['kind']:<11} {_THERE[document['there']]:<5} "
        f"{hours:3d} h {minutes:02d} min  {document['name']}"
        f"  {document['external_id'] or document['state']}{kept}"
    )
