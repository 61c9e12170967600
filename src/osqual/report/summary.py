"""A run's end for people and for scripts."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape

from osqual.errors import OsqualError
from osqual.model import Verdict
from osqual.pipeline.workflow import RunResult

STYLES: Mapping[Verdict, str] = {
    Verdict.QUALIFIED: "bold green",
    Verdict.REJECTED: "bold red",
    Verdict.INCONCLUSIVE: "bold yellow",
}


def result_document(result: RunResult) -> dict[str, Any]:
    """The result as JSON."""
    return {
        "run": result.run_id,
        "configuration": result.configuration,
        "verdict": result.judgement.verdict.value,
        "reasons": list(result.judgement.reasons),
        "totals": dict(result.judgement.totals),
        "exit_code": int(result.exit_code),
        "images": dict(result.image_ids),
        "image_file": None if result.image_file is None else str(result.image_file),
        "image_reused": result.image_reused,
        "published": [str(path) for path in result.published],
        "kept": result.kept,
        "directory": str(result.directory),
        "seconds": round(result.duration_s, 1),
        "step_seconds": {name: round(took, 1) for name, took in result.step_seconds.items()},
        "errors": [
            {"brief": error.brief, "details": error.details, "resolution": error.resolution}
            for error in result.errors
        ],
    }


def print_summary(result: RunResult, console: Console) -> None:
    """Verdict, reasons, errors with what to do, images, and where the evidence is."""
    verdict = result.judgement.verdict
    console.print()
    _line(console, f"[{STYLES[verdict]}]{verdict.value}[/]  {escape(result.configuration)}")
    untold = list(result.errors)
    for reason in result.judgement.reasons:
        _line(console, f"  · {escape(reason)}")
        for error in untold:
            if error.brief in reason:
                untold.remove(error)
                _print_error(console, error)
                break
    for error in untold:
        _line(console, f"  · {escape(error.brief)}")
        _print_error(console, error)
    for region, image_id in sorted(result.image_ids.items()):
        how = " (built before)" if result.image_reused else ""
        _line(console, f"  image     {escape(region)}: {escape(image_id)}{how}")
    if result.image_file is not None:
        _line(console, f"  file      {escape(str(result.image_file))}")
    for path in result.published:
        _line(console, f"  published {escape(str(path))}")
    _line(console, f"  evidence  {escape(str(result.directory))}")
    minutes, seconds = divmod(int(result.duration_s), 60)
    _line(console, f"  run       {result.run_id}, {minutes} min {seconds} s")
    if result.kept:
        _line(
            console,
            f"  The cluster is still there: osqual ssh {result.run_id}; "
            f"end it with: osqual destroy {result.run_id}",
        )


def _print_error(console: Console, error: OsqualError) -> None:
    """What is wrong and what to do, beneath the sentence that says so."""
    for line in error.details.rstrip().splitlines():
        _line(console, f"      {escape(line)}")
    if error.resolution:
        _line(console, f"      To do: {escape(error.resolution)}")


def _line(console: Console, text: str) -> None:
    console.print(text, highlight=False, soft_wrap=True)
