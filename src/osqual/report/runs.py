"""Stored runs as text and as JSON."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from osqual.processes.running import owner_alive
from osqual.store.database import Row
from osqual.store.store import Store

BAD_OUTCOMES = ("fail", "error")


def run_state(row: Row) -> str:
    """The verdict, or `running`, or `died` when its process is gone without an end."""
    if row["status"] == "ended":
        return str(row["verdict"])
    return "died" if owner_alive(row["owner"]) is False else "running"


def run_line(row: Row) -> str:
    """A run in one line: id, local time, state, configuration."""
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(row["started_at"]))
    return f"{row['id']}  {when}  {run_state(row):<13}{row['configuration']}"


def run_document(store: Store, row: Row) -> dict[str, Any]:
    """Everything the store knows of a run, as JSON."""
    run_id = row["id"]
    return {
        **row,
        "state": run_state(row),
        "steps": store.steps(run_id),
        "suites": store.suites(run_id),
        "results": store.results(run_id),
        "resources": store.resources(run_id=run_id, open_only=False),
    }


def run_lines(document: Mapping[str, Any]) -> list[str]:
    """A run for people: state, reasons, steps, suites, what failed, what is still there."""
    lines = [
        f"run            {document['id']}",
        f"configuration  {document['configuration']}",
        f"state          {document['state']}",
        *(f"  · {reason}" for reason in document["reasons"]),
        *(f"image          {region}: {name}" for region, name in document["image_ids"].items()),
        f"evidence       {document['directory']}",
        "steps",
        *(_step_line(step) for step in document["steps"]),
    ]
    if document["suites"]:
        lines += ["suites", *(_suite_line(suite, document) for suite in document["suites"])]
    failing = [result for result in document["results"] if result["outcome"] in BAD_OUTCOMES]
    if failing:
        lines += ["failing tests", *(f"  {item['suite']}: {item['test_id']}" for item in failing)]
    left = [item for item in document["resources"] if item["state"] != "ended"]
    if left:
        lines += ["still there", *(_resource_line(item) for item in left)]
    return lines


def log_files(directory: Path) -> list[Path]:
    """The text files of a run directory that tell what happened, in order."""
    endings = (".log", ".xml", ".jsonl", ".txt")
    return sorted(path for path in directory.rglob("*") if path.suffix in endings)


def _step_line(step: Row) -> str:
    started, ended = step["started_at"], step["ended_at"]
    took = f"{ended - started:8.1f} s" if started and ended else " " * 10
    return f"  {step['name']:<10} {step['status']:<8}{took}  {step['message']}".rstrip()


def _suite_line(suite: Row, document: Mapping[str, Any]) -> str:
    if suite["skipped"]:
        return f"  {suite['name']:<14} not run: {suite['skipped']}"
    totals: dict[str, int] = {}
    for result in document["results"]:
        if result["suite"] == suite["name"]:
            totals[result["outcome"]] = totals.get(result["outcome"], 0) + 1
    counts = ", ".join(f"{count} {outcome}" for outcome, count in sorted(totals.items()))
    problem = f"  problem: {suite['problem']}" if suite["problem"] else ""
    return f"  {suite['name']:<14} {counts or 'no results'}{problem}"


def _resource_line(item: Row) -> str:
    kept = " (kept)" if item["kept"] else ""
    return f"  {item['kind']:<8} {item['name']} {item['external_id'] or ''}{kept}".rstrip()
