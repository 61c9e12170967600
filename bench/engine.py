"""What the engine itself costs: ms a step with steps that do nothing, and how that grows.

    python bench/engine.py [--runs 1000] [--stored 100000] [--store URL]

One run writes 18 transactions for 8 steps; SQLite flushes each to disk (synchronous=FULL).
"""

import argparse
import json
import resource
import statistics
import tempfile
import time
from pathlib import Path

from sqlalchemy import insert

from osqual.model import Judgement, Verdict
from osqual.store.database import open_engine, sqlite_url
from osqual.store.schema import runs
from osqual.store.store import Store

STEPS = ("validate", "build", "provision", "install", "test", "judge", "publish", "destroy")
GOAL_MS = 10.0
JUDGEMENT = Judgement(verdict=Verdict.QUALIFIED, reasons=("it passed",), totals={"pass": 1})


def one_run(store: Store, number: int) -> float:
    """Seconds that the journal of a run with empty steps takes."""
    run_id = f"bench-{number:06d}"
    started = time.perf_counter()
    store.begin_run(
        run_id,
        configuration=f"leaf-{number % 100}",
        catalogue=Path("/"),
        directory=Path("/"),
        options={},
        owner="bench",
        version="0",
        step_names=STEPS,
    )
    for step in STEPS:
        store.begin_step(run_id, step)
        store.end_step(run_id, step, "done", "", {})
    store.end_run(run_id, JUDGEMENT, 0)
    return time.perf_counter() - started


def fill(url: str, count: int) -> None:
    """Runs of the past, so many that a slow query shows."""
    engine = open_engine(url)
    row = {
        "catalogue": "/",
        "directory": "/",
        "status": "ended",
        "verdict": "qualified",
        "exit_code": 0,
        "reasons": [],
        "options": {},
        "image_ids": {},
        "owner": "bench",
        "version": "0",
    }
    with engine.begin() as connection:
        for start in range(0, count, 5000):
            rows = [
                {
                    **row,
                    "id": f"past-{number:07d}",
                    "configuration": f"leaf-{number % 100}",
                    "started_at": float(number),
                }
                for number in range(start, min(count, start + 5000))
            ]
            connection.execute(insert(runs), rows)
    engine.dispose()


def measure(url: str, count: int, first: int) -> dict[str, float]:
    """Milliseconds a step and for the queries that every run begins with."""
    store = Store(open_engine(url))
    per_step = [one_run(store, first + number) * 1000 / len(STEPS) for number in range(count)]
    began = time.perf_counter()
    store.runs(unfinished_only=True)
    store.resources()
    queries_ms = (time.perf_counter() - began) * 1000
    store.close()
    return {
        "ms_a_step_median": round(statistics.median(per_step), 2),
        "ms_a_step_p95": round(sorted(per_step)[int(len(per_step) * 0.95)], 2),
        "ms_to_find_dead_runs": round(queries_ms, 2),
    }


def main() -> None:
    """Measure, print JSON, and say whether the goal was reached."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--stored", type=int, default=100_000)
    parser.add_argument("--store", help="database URL (default: SQLite in a temporary directory)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="osqual-bench-") as directory:
        url = options.store or sqlite_url(Path(directory) / "store.db")
        empty = measure(url, options.runs, 0)
        fill(url, options.stored)
        full = measure(url, options.runs, options.runs)
    result = {
        "steps": options.runs * len(STEPS),
        "empty_store": empty,
        f"with_{options.stored}_runs": full,
        "memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "reached": full["ms_a_step_median"] <= GOAL_MS,
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
