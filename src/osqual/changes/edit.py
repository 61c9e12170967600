"""Setting a key across many configurations, wherever each has the file from.

A file that only selected configurations use is edited where it is. One that others use too stays
as it is, and the selected ones get a copy in the directory that stands for them.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from osqual.catalogue.catalogue import Catalogue
from osqual.catalogue.files import (
    parse_base_images,
    parse_packer_template,
    parse_publish_and_test,
)
from osqual.catalogue.profile import parse_profile, topology_of
from osqual.changes import json_text, tfvars_text, yaml_text
from osqual.changes.assignment import Assignment, value_of
from osqual.changes.cover import covering
from osqual.changes.draft import Draft, join
from osqual.changes.key_paths import is_there, value_at
from osqual.changes.nearest import parent_of
from osqual.errors import InvalidFile, InvalidInput
from osqual.formats.documents import load_json, load_yaml
from osqual.model import Configuration


@dataclass(frozen=True, kw_only=True)
class _Kind:
    """How one kind of file is found, read, edited and checked."""

    names: tuple[str, ...]
    load: Callable[[str, str], Any]
    set_value: Callable[[str, Sequence[str | int], Any, str], str]
    unset_value: Callable[[str, Sequence[str | int], str], str]
    check: Callable[[str, str], object]
    empty: str | None = ""
    """The text that means the same as no file; None when there has to be one."""


def _check_profile(text: str, source: str) -> object:
    return topology_of(parse_profile(text, source), text, source)


@dataclass(kw_only=True)
class Edited:
    """The planned edit. `notes` tell where files were edited or copied, and why there."""

    draft: Draft
    notes: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    """Selected configurations that have it so already."""


@dataclass(kw_only=True)
class _File:
    """One file that is used: who uses it, and what each selected user should find instead."""

    place: str | None
    text: str | None
    users: list[str] = field(default_factory=list)
    wanted: dict[str, str] = field(default_factory=dict)


class Editor:
    """Plans assignments for a selection of configurations."""

    def __init__(self, catalogue: Catalogue, selection: Iterable[Configuration]) -> None:
        self.catalogue = catalogue
        self.selection = list(selection)
        self._everyone = catalogue.configurations()

    def edit(self, assignments: Sequence[Assignment]) -> Edited:
        """Plan them all. Raises InvalidInput naming every file that cannot be edited."""
        edited = Edited(draft=Draft(self.catalogue.root))
        changed: set[str] = set()
        for name in dict.fromkeys(assignment.kind for assignment in assignments):
            own = [assignment for assignment in assignments if assignment.kind == name]
            changed |= self._edit_kind(edited, self._kind(name), name, own)
        edited.unchanged = [item.path for item in self.selection if item.path not in changed]
        return edited

    def _kind(self, name: str) -> _Kind:
        files = self.catalogue.conventions.files
        if name == "profile":
            return _Kind(
                names=(files.profile, files.old_profile),
                load=parse_profile,
                set_value=tfvars_text.set_value,
                unset_value=tfvars_text.unset_value,
                check=_check_profile,
            )
        if name == "config":
            return _Kind(
                names=(files.config,),
                load=load_yaml,
                set_value=yaml_text.set_value,
                unset_value=yaml_text.unset_value,
                check=parse_publish_and_test,
            )
        is_template = name == "template"
        return _Kind(
            names=(files.template if is_template else files.base_images,),
            load=load_json,
            set_value=json_text.set_value,
            unset_value=json_text.unset_value,
            check=parse_packer_template if is_template else parse_base_images,
            empty=None,
        )

    def _edit_kind(
        self, edited: Edited, kind: _Kind, name: str, assignments: Sequence[Assignment]
    ) -> set[str]:
        """Plan one kind of file; returns the configurations that change."""
        chosen = {item.path: item for item in self.selection}
        files: dict[str | None, _File] = {}
        problems: list[str] = []
        for item in self._everyone:
            place = self._find(item.path, kind)
            file = files.setdefault(place, _File(place=place, text=None))
            file.users.append(item.path)
        for file in files.values():
            selected = [chosen[path] for path in file.users if path in chosen]
            self._fill(edited.draft, file, kind, selected, assignments, problems)
        if problems:
            raise InvalidInput(
                f"The {name} of some configurations cannot be edited. Nothing was written.",
                details="\n".join(dict.fromkeys(problems)),
                resolution="correct these files, or leave out the configurations that use them",
            )
        for file in files.values():
            self._place(edited, file, kind)
        return {path for file in files.values() for path in file.wanted}

    def _find(self, path: str, kind: _Kind) -> str | None:
        """The nearest file of the kind; in one directory the first name wins."""
        found = [
            join(directory, name)
            for name in kind.names
            if (directory := self.catalogue.tree.nearest(path, name)) is not None
        ]
        return max(found, key=lambda place: place.count("/"), default=None)

    def _fill(
        self,
        draft: Draft,
        file: _File,
        kind: _Kind,
        selected: Sequence[Configuration],
        assignments: Sequence[Assignment],
        problems: list[str],
    ) -> None:
        """Work out what each selected user of a file should find."""
        if not selected:
            return
        source = file.place or join(selected[0].path, kind.names[0])
        known: dict[tuple[str | None, ...], str] = {}
        dimensions = self.catalogue.layout.dimensions
        try:
            file.text = draft.read_text(file.place) if file.place else kind.empty
            if file.text is None:
                raise InvalidFile(source, "there is no such file")
            for item in selected:
                values = tuple(a.text_for(item.dimensions, dimensions) for a in assignments)
                if values not in known:
                    known[values] = _assign(file.text, source, kind, assignments, values)
                if known[values] != file.text:
                    file.wanted[item.path] = known[values]
        except InvalidFile as error:
            problems.append(error.brief)

    def _place(self, edited: Edited, file: _File, kind: _Kind) -> None:
        """Put the new texts where each selected user finds its own, and nobody else finds any."""
        if not file.wanted or file.text is None:
            return
        texts = set(file.wanted.values())
        if file.place and len(file.wanted) == len(file.users) and len(texts) == 1:
            edited.draft.write(file.place, texts.pop())
            if len(file.users) > 1:
                edited.notes.append(
                    f"{file.place}: edited in place, all {len(file.users)} configurations that "
                    "use it are selected"
                )
            return
        name = file.place.rpartition("/")[2] if file.place else kind.names[0]
        for text in sorted(texts):
            self._copy(edited, file, name, text)
        self._protect(edited, file, name)

    def _copy(self, edited: Edited, file: _File, name: str, text: str) -> None:
        users = {path for path, wanted in file.wanted.items() if wanted == text}
        top = parent_of(file.place) if file.place else ""
        for directory, paths in covering(users, file.users, top).items():
            place = join(directory, name)
            edited.draft.write(place, text, copied_from=file.place if file.place != place else None)
            if file.place is not None and file.place != place:
                others = len(file.users) - len(paths)
                edited.notes.append(
                    f"{place}: a copy, because {file.place} is used by {others} more that stay "
                    "as they are"
                    if others
                    else f"{place}: a copy of {file.place}"
                )

    def _protect(self, edited: Edited, file: _File, name: str) -> None:
        """Give its own copy to whoever would now find another's: configurations in others."""
        for path in sorted(file.users):
            expected = file.wanted.get(path, file.text or "")
            if self._found(edited.draft, path, file, name) != expected:
                place = join(path, name)
                edited.draft.write(place, expected, copied_from=file.place)
                edited.notes.append(
                    f"{place}: a copy of what it had, because it lies below one that changes"
                )

    def _found(self, draft: Draft, path: str, file: _File, name: str) -> str:
        """What a user of the file would find: no nearer file of that name was there before."""
        top = parent_of(file.place) if file.place else ""
        directory = path
        while True:
            place = join(directory, name)
            if place == file.place or draft.exists(place):
                return draft.read_text(place) or ""
            if directory in (top, ""):
                return file.text or ""
            directory = parent_of(directory)


def _assign(
    text: str,
    source: str,
    kind: _Kind,
    assignments: Sequence[Assignment],
    values: Sequence[str | None],
) -> str:
    """The text with every assignment made, checked as what it is going to be read as."""
    before = text
    for assignment, value in zip(assignments, values, strict=True):
        if value is None:
            text = kind.unset_value(text, assignment.path, source)
            continue
        loaded = kind.load(text, source)
        old = value_at(loaded, assignment.path) if is_there(loaded, assignment.path) else None
        new = value_of(value, old, str(assignment))
        if old is None or new != old or type(new) is not type(old):
            text = kind.set_value(text, assignment.path, new, source)
    if text != before:
        try:
            kind.check(text, source)
        except InvalidFile:
            raise
        except InvalidInput as error:
            raise InvalidFile(source, error.brief) from error
    return text
