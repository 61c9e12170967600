"""Running a provisioner the way Packer 1.6.6 does: pause, time limit, retries."""

from osqual.builders.provisioners import Provisioner, ShellProvisioner
from osqual.builders.scripts import run_scripts
from osqual.builders.transfers import transfer_files
from osqual.builders.workshop import Workshop
from osqual.effects.scope import RunScope
from osqual.errors import BuildFailed, TimeLimitExceeded
from osqual.events import EventKind


def run_provisioner(provisioner: Provisioner, number: int, shop: Workshop, scope: RunScope) -> None:
    """Run one provisioner to its end, with its pause, time limit and retries.

    `number` counts from 1. Raises BuildFailed; Interrupted and the step's limit pass through.
    """
    if provisioner.pause_before:
        scope.progress(f"pausing {provisioner.pause_before:g} s before provisioner {number}")
        scope.cancellation.sleep(provisioner.pause_before)
    for tries_left in range(provisioner.max_retries, -1, -1):
        try:
            _run_limited(provisioner, number, shop, scope)
            return
        except BuildFailed as error:
            if not tries_left:
                raise
            scope.emit(
                EventKind.RETRY,
                f"provisioner {number} failed ({error.brief}); {tries_left} tries left",
            )


def _run_limited(provisioner: Provisioner, number: int, shop: Workshop, scope: RunScope) -> None:
    limited = scope
    if provisioner.timeout:
        what = f"provisioner {number}, which has {provisioner.timeout:g} s by its `timeout`"
        limited = scope.limited(provisioner.timeout, what)
    try:
        if isinstance(provisioner, ShellProvisioner):
            run_scripts(provisioner, number, shop, limited)
        else:
            transfer_files(provisioner, number, shop, limited)
    except TimeLimitExceeded as error:
        scope.cancellation.check()  # the step's own limit is not the provisioner's fault
        raise BuildFailed(
            f"Provisioner {number} took longer than its timeout of {provisioner.timeout:g} s."
            if provisioner.timeout
            else f"Provisioner {number} had to wait too long for the machine.",
            details=error.details or error.brief,
            resolution="look at what it was doing: it may hang, or wait for an answer that nobody "
            "gives; otherwise raise `timeout` in the template",
        ) from error
