"""What somebody who has signed in may do: stop a run, and have one made again on its image."""

import os
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import make_url

from osqual.catalogue.catalogue import open_catalogue
from osqual.errors import InfrastructureError, UsageError
from osqual.processes.process import Detached, start_detached, tail
from osqual.report.runs import run_state
from osqual.run.context import RunOptions
from osqual.settings import Settings
from osqual.store.lock import orchestrator_lock
from osqual.store.store import Store

TOKEN_VARIABLE = "OSQUAL_SERVE_TOKEN"  # noqa: S105 - the name of a variable
POLL_S = 0.2
START_S = 30.0
"""How long to wait for a run to begin before saying that it has not yet."""


@dataclass(kw_only=True)
class Actions:
    """Acts on the store and on this machine, as the commands of the same names do."""

    store: Store
    settings: Settings
    command: tuple[str, ...] = (sys.executable, "-m", "osqual")
    _one_at_a_time: threading.Lock = field(default_factory=threading.Lock)
    _children: list[Detached] = field(default_factory=list)

    def cancel(self, run_id: str) -> dict[str, Any]:
        """Ask a run to stop. Raises NotFound, or UsageError when it does not run."""
        run = self.store.run(run_id)
        state = run_state(run)
        if state != "running":
            raise UsageError(f"The run {run['id']} does not run: {state}.")
        return {"asked": self.store.ask_to_cancel(run["id"])}

    def rerun(self, run_id: str) -> dict[str, Any]:
        """Begin a run on the image of another, here or by the workers that share the store.

        Raises StateLocked while another osqual runs here, or what the new one said when it ended
        at once.
        """
        run = self.store.run(run_id)
        if self._has_queue():
            return self._submit(run["id"], Path(run["catalogue"]), run["configuration"])
        with self._one_at_a_time:
            with orchestrator_lock(self.settings.directories.state, f"rerun of {run['id']}"):
                pass  # says who holds it; the new process takes it for itself
            return self._start(run["id"], Path(run["catalogue"]))

    def _has_queue(self) -> bool:
        url = self.settings.store
        return url is not None and make_url(url).get_backend_name() == "postgresql"

    def _submit(self, run_id: str, root: Path, path: str) -> dict[str, Any]:
        from osqual.work_queue.app import open_queue  # an extra that a laptop does not have
        from osqual.work_queue.jobs import submit

        catalogue = open_catalogue(root, environ=os.environ)
        options = RunOptions(image_of=run_id, publish="none")
        with open_queue(self.settings) as queue:
            (done,) = submit([catalogue.configuration(catalogue.root / path)], options, queue)
        return {"job": done.job, "queue": done.queue}

    def _start(self, run_id: str, cwd: Path) -> dict[str, Any]:
        self._children = [child for child in self._children if child.ended() is None]
        output = self.settings.directories.state / "serve" / f"rerun-{time.time_ns()}.log"
        output.parent.mkdir(parents=True, exist_ok=True)
        known = {row["id"] for row in self.store.runs(limit=1000)}
        child = start_detached(
            [*self.command, "rerun", run_id], cwd=cwd, output=output, without=[TOKEN_VARIABLE]
        )
        self._children.append(child)
        give_up = time.monotonic() + START_S
        while time.monotonic() < give_up:
            for row in self.store.runs(limit=20):
                if row["id"] not in known and row["owner"].startswith(f"{child.pid}:"):
                    return {"run": row["id"], "configuration": row["configuration"]}
            if child.ended() is not None:
                raise InfrastructureError(
                    f"`osqual rerun {run_id}` has ended with {child.ended()}.",
                    details=tail(output.read_text(errors="replace")),
                )
            time.sleep(POLL_S)
        return {"waiting": str(output)}
