"""Proving a plan before it is carried out: derived configurations are read as they will be."""

import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from osqual.catalogue.catalogue import Catalogue
from osqual.catalogue.inputs import ConfigurationInputs, load_inputs
from osqual.catalogue.tree import upwards
from osqual.changes.derived import Derived
from osqual.changes.draft import EXECUTABLE, PLAIN, Draft, join
from osqual.changes.nearest import contents_at, find
from osqual.errors import InvalidInput
from osqual.model import Configuration


def prove(catalogue: Catalogue, draft: Draft, derived: Iterable[Derived]) -> None:
    """Load the inputs of every planned configuration, from a copy of just what it will find.

    One that cannot be read is refused with InvalidInput, unless its source cannot be read either:
    that becomes a warning. Sets `same_recipe`.
    """
    with tempfile.TemporaryDirectory(prefix="osqual-derive-") as directory:
        stage = Path(directory).resolve()
        for item in derived:
            target = item.target
            _copy(draft, stage, target.path, [*item.names, *catalogue.conventions.files.all])
            planned = Configuration(root=stage, path=target.path, dimensions=target.dimensions)
            before = _try(catalogue, target.source)
            after = _try(replace(catalogue, root=stage, cache=None), planned)
            if isinstance(before, ConfigurationInputs) and isinstance(after, ConfigurationInputs):
                item.same_recipe = before.recipe.digest == after.recipe.digest
            elif isinstance(before, InvalidInput):
                problem = before.brief.removeprefix(f"{target.source.path}: ")
                item.warnings.append(f"it is as broken as its source: {problem}")
            elif isinstance(after, InvalidInput):
                raise InvalidInput(
                    f"{target.path} could not be read, although {target.source.path} can. "
                    "Nothing was written.",
                    details=after.brief,
                    resolution="leave it out, or make by hand what cannot follow the new values",
                )


def _try(catalogue: Catalogue, configuration: Configuration) -> ConfigurationInputs | InvalidInput:
    try:
        return load_inputs(catalogue, configuration)
    except InvalidInput as error:
        return error


def _copy(draft: Draft, stage: Path, leaf: str, names: Iterable[str]) -> None:
    """Put what a configuration will find by its names where it will find it."""
    places = {find(draft, leaf, name) for name in names}
    places |= {
        join(directory, name)
        for directory in upwards(leaf)
        for name in names
        if not name.startswith("../") and draft.exists(join(directory, name))
    }
    for place in filter(None, places):
        for inner, content in contents_at(draft, place).items():
            path = stage / f"{place}/{inner}".rstrip("/")
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content.data)
                path.chmod(EXECUTABLE if content.executable else PLAIN)
