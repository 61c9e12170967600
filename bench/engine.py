"""What the engine itself costs: a step that does nothing, many runs at once, a run that waits.

    python bench/engine.py [--only steps,makespan,memory] [--runs 1000] [--stored 100000]

One run writes 18 transactions for 8 steps; SQLite flushes each to disk (synchronous=FULL).
"""

import argparse
import json
import statistics
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from simulation import make_world, qualify_all, resident_kb
from sqlalchemy import insert

from osqual.model import Judgement, Verdict
from osqual.store.database import open_engine, sqlite_url
from osqual.store.schema import runs
from osqual.store.store import Store

STEPS = ("validate", "build", "provision", "install", "test", "judge", "publish", "destroy")
GOAL_MS = 10.0
GOAL_MAKESPAN = 1.1
SLOTS = 8
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


def measure_steps(url: str, count: int, stored: int) -> dict[str, Any]:
    """The journal's cost on an empty store and on one with many runs."""
    empty = measure(url, count, 0)
    fill(url, stored)
    full = measure(url, count, count)
    return {
        "steps": count * len(STEPS),
        "empty_store": empty,
        f"with_{stored}_runs": full,
        "reached": full["ms_a_step_median"] <= GOAL_MS,
    }


def measure_makespan(root: Path, configurations: int, recipes: int) -> dict[str, Any]:
    """Simulated configurations in 8 slots: first without history, then with that of the first."""
    world = make_world(
        root / "catalogue", recipes=recipes, configurations=configurations, scale_s=6.0
    )
    bound_s = world.lower_bound_s(SLOTS)
    first = qualify_all(world, root / "state", SLOTS) / bound_s
    again = qualify_all(world, root / "state", SLOTS) / bound_s
    return {
        "configurations": configurations,
        "recipes": recipes,
        "slots": SLOTS,
        "lower_bound_s": round(bound_s, 1),
        "without_history": round(first, 3),
        "with_history": round(again, 3),
        "reached": max(first, again) <= GOAL_MAKESPAN,
    }


def measure_memory(root: Path, runs: int) -> dict[str, Any]:
    """What a run holds while its suite takes its time."""
    held: list[int] = []
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.2):
            held.append(resident_kb())

    few = make_world(root / "few", recipes=1, configurations=2, scale_s=0.1)
    qualify_all(few, root / "state-few", 2)  # everything is imported and grown by now
    before = resident_kb()
    watcher = threading.Thread(target=look)
    watcher.start()
    many = make_world(root / "many", recipes=1, configurations=runs, scale_s=4.0)
    qualify_all(many, root / "state-many", runs)
    over.set()
    watcher.join()
    return {"runs": runs, "kb_a_run": (max(held) - before) // runs, "kb_alone": before}


def main() -> None:
    """Measure, and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="steps,makespan,memory")
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--stored", type=int, default=100_000)
    parser.add_argument("--store", help="database URL (default: SQLite in a temporary directory)")
    options = parser.parse_args()
    wanted, result = options.only.split(","), dict[str, Any]()
    with tempfile.TemporaryDirectory(prefix="osqual-bench-") as directory:
        root = Path(directory)
        if "steps" in wanted:
            url = options.store or sqlite_url(root / "store.db")
            result["steps"] = measure_steps(url, options.runs, options.stored)
        if "makespan" in wanted:
            result["makespan"] = measure_makespan(root / "makespan", 48, 8)
        if "memory" in wanted:
            result["memory"] = measure_memory(root / "memory", 40)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
