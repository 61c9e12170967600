"""Everything about one run in one archive, for whoever has to believe or repeat it."""

import hashlib
import io
import json
import shlex
import tarfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2

from osqual.evidence import evidence_and_inputs
from osqual.publish.files import images_text, record_text
from osqual.publish.outbox import Publication, kept_publication
from osqual.secrecy import hide_in
from osqual.store.database import Row
from osqual.store.store import Store

MANIFEST = "SHA256SUMS"


@dataclass(frozen=True, kw_only=True)
class Member:
    """One file of a bundle."""

    name: str
    content: bytes


def write_bundle(path: Path, store: Store, run: Row, hide: Callable[[str], str]) -> list[str]:
    """Write the archive; the names of its members. The same run gives the same bytes.

    `hide` blanks secrets.
    """
    members = [_hidden(member, hide) for member in _members(store, run, hide)]
    sums = "".join(
        f"{hashlib.sha256(member.content).hexdigest()}  {member.name}\n" for member in members
    )
    members.append(Member(name=MANIFEST, content=sums.encode()))
    with tarfile.open(path, "w:gz", format=tarfile.PAX_FORMAT, compresslevel=6) as archive:
        for member in members:
            entry = tarfile.TarInfo(f"{run['id']}/{member.name}")
            entry.size, entry.mode, entry.mtime = len(member.content), 0o644, int(run["started_at"])
            archive.addfile(entry, io.BytesIO(member.content))
    return [member.name for member in members]


def reproduce_command(run: Row, publication: Publication | None) -> str:
    """What repeats the run, to be pasted into a shell in a clone of the catalogue."""
    source = (publication.record if publication else {}).get("source") or {}
    commit = source.get("commit")
    checkout = f"git checkout {shlex.quote(commit)} && " if commit else ""
    options = run["options"]
    words = ["osqual", "run", run["configuration"], "--publish", "none"]
    words += ["--builder", options["builder"]] if options.get("builder") else []
    words += ["--cold"] if options.get("cold") else []
    words += [word for name in options.get("keywords", ()) for word in ("-k", name)]
    return checkout + shlex.join(words)


def _members(store: Store, run: Row, hide: Callable[[str], str]) -> Iterator[Member]:
    directory = Path(run["directory"])
    publication = kept_publication(directory)
    facts = hide_in(_facts(store, run, publication), hide)
    yield _json("run.json", facts)
    yield Member(name="reproduce.txt", content=f"{facts['reproduce']}\n".encode())
    yield Member(name="report.html", content=_html(facts).encode())
    if publication is not None:
        yield Member(name="qualification.json", content=record_text(publication.record).encode())
        yield Member(name="images.yaml", content=images_text(publication.images).encode())
        if publication.attestation:
            content = publication.attestation.encode()
            yield Member(name="attestation.jsonl", content=content)
    for path in evidence_and_inputs(directory):
        name = f"evidence/{path.relative_to(directory)}"
        yield Member(name=name, content=path.read_bytes())


def _facts(store: Store, run: Row, publication: Publication | None) -> dict[str, Any]:
    record: Mapping[str, Any] = {} if publication is None else publication.record
    return {
        "run": run["id"],
        "configuration": run["configuration"],
        "verdict": run["verdict"],
        "reasons": run["reasons"],
        "images": run["image_ids"],
        "recipe": run["recipe_digest"],
        "inputs": record.get("inputs", {}),
        "options": run["options"],
        "version": run["version"],
        "started_at": run["started_at"],
        "ended_at": run["ended_at"],
        "reproduce": reproduce_command(run, publication),
        "steps": [
            {name: step[name] for name in ("name", "status", "message", "started_at", "ended_at")}
            for step in store.steps(run["id"])
        ],
        "results": [
            {name: result[name] for name in ("suite", "test_id", "outcome", "message")}
            for result in store.results(run["id"])
        ],
        "nodes": record.get("nodes", ()),
        "tools": record.get("tools", {}),
    }


def _html(facts: Mapping[str, Any]) -> str:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("osqual.report", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("bundle.html").render(facts)


def _json(name: str, document: Any) -> Member:
    return Member(name=name, content=(json.dumps(document, indent=2) + "\n").encode())


def _hidden(member: Member, hide: Callable[[str], str]) -> Member:
    """What was signed and recorded has no secrets, so that its digests stay as they are."""
    text = member.content.decode(errors="surrogateescape")
    return Member(name=member.name, content=hide(text).encode(errors="surrogateescape"))
