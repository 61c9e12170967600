"""`osqual mutes --lift`: which mutes can go, as a patch that takes them out."""

from datetime import date
from typing import TYPE_CHECKING, Any

from osqual.cli.changing import file_document, show_diff, tell
from osqual.cli.common import print_json
from osqual.cli.tables import counted

if TYPE_CHECKING:
    from osqual.catalogue.catalogue import Catalogue
    from osqual.mutes.lifting import Standing


def propose(catalogue: "Catalogue", passes: int, today: date, *, as_json: bool) -> None:
    """Print the patch; nothing is written."""
    from osqual.changes.diff import format_diff
    from osqual.changes.draft import Draft
    from osqual.changes.mute_entries import mutes_files, plan_removal
    from osqual.mutes.files import MutesFiles
    from osqual.mutes.lifting import standings
    from osqual.settings import load_settings
    from osqual.store.store import open_store

    files, draft = MutesFiles(catalogue), Draft(catalogue.root)
    mutes = [mute for place in mutes_files(catalogue) for mute in files.read(place)]
    store = open_store(load_settings(catalogue.root))
    shadows = store.history.shadows([mute.digest for mute in mutes])
    found = standings([mute for mute in mutes if mute.in_force(today)], shadows)
    lifted = [standing for standing in found if standing.can_go(passes)]
    plan_removal(catalogue, draft, [standing.mute for standing in lifted])
    changes = draft.changes()
    if as_json:
        print_json(
            {
                "passes": passes,
                "mutes": [_document(standing, passes) for standing in found],
                "files": [file_document(change, with_diff=True) for change in changes],
            }
        )
        return
    show_diff(format_diff(changes))
    tell(f"{standing.mute}: {_words(standing)}" for standing in found)
    many = counted(lifted, "mute")
    tell([f"{many} can go after {passes} clean passes. Take them out with: git apply"])


def _words(standing: "Standing") -> str:
    if not standing.streaks:
        return "has not run in the shadow yet"
    worst = min(standing.streaks, key=lambda key: standing.streaks[key])
    configuration, suite, test = worst
    number = standing.streaks[worst]
    if not number:
        return f"still fails ({suite}: {test} in {configuration})"
    return f"{number} clean passes in a row at least, in {counted(standing.streaks, 'place')}"


def _document(standing: "Standing", passes: int) -> dict[str, Any]:
    mute = standing.mute
    return {
        "test": mute.test,
        "file": mute.source,
        "line": mute.line,
        "can_go": standing.can_go(passes),
        "results": [
            {"configuration": path, "suite": suite, "test": test, "passes": number}
            for (path, suite, test), number in standing.streaks.items()
        ],
    }
