"""New configurations from existing ones: everything that names the old values follows the new."""

from collections.abc import Iterable, Mapping

from osqual.catalogue.catalogue import Catalogue
from osqual.catalogue.files import parse_base_images, parse_packer_template
from osqual.catalogue.git import GitTree
from osqual.catalogue.tree import is_configuration, upwards
from osqual.catalogue.usage import used_files
from osqual.changes import json_text
from osqual.changes.derived import OF_THE_BASE_IMAGE, Derived, unnamed_values
from osqual.changes.draft import Draft, inside, join
from osqual.changes.follow import Replacement, follow
from osqual.changes.nearest import (
    Content,
    Contents,
    contents_at,
    directory_of,
    find,
    parent_of,
)
from osqual.changes.placement import Placement
from osqual.changes.sources import Target, Targets, renames_of
from osqual.errors import InvalidFile, InvalidInput, UsageError
from osqual.model import Configuration
from osqual.recipe import build_region


class Deriver:
    """Plans configurations one after the other into a draft."""

    def __init__(
        self, catalogue: Catalogue, targets: Targets, base_images: str | None = None
    ) -> None:
        self.catalogue = catalogue
        self.draft = Draft(catalogue.root)
        self.targets = targets
        self._base_images = base_images
        self._names = catalogue.conventions.files
        self._placement = Placement(
            draft=self.draft,
            layout=catalogue.layout,
            existing=sorted(item.path for item in catalogue.configurations()),
            planned={target.path for target in targets.new},
        )
        self._listed = _listed_files(catalogue, targets.new)

    def derive(self) -> list[Derived]:
        """Plan every target, outer ones before those that they contain."""
        return [self._derive(target) for target in self.targets.new]

    def _derive(self, target: Target) -> Derived:
        derived = Derived(target=target, renames=renames_of(self.catalogue, target))
        used = {
            file.name: file.path.relative_to(self.catalogue.root).as_posix()
            for file in used_files(self.catalogue, target.source)
            if file.path is not None
        }
        own = {name: place for name, place in used.items() if self._is_own(target, name, place)}
        wanted = {
            name: self._followed(derived, name, place)
            for name, place in used.items()
            if name not in own
        }
        for name in wanted:
            self._place_inherited(derived, name, used[name], wanted[name])
        for name, place in own.items():
            wanted[name] = self._followed(derived, name, place)
            self._place_own(derived, name, place, wanted[name])
        self._copy_unused(derived, own)
        self._carry_mutes(derived)
        self._place_base_images(derived)
        for name, contents in wanted.items():  # another file may have come between meanwhile
            is_given = self._placement.gives(target.path, name, contents)
            if name != self._names.base_images and not is_given:
                self._write(derived, join(target.path, name), used[name], contents)
        self._keep_a_configuration(derived, used, wanted)
        self._set_source_image(derived)
        derived.warnings += unnamed_values(derived, wanted)
        derived.names = tuple(wanted)
        return derived

    # -- what the source has --------------------------------------------------------------------

    def _is_own(self, target: Target, name: str, place: str) -> bool:
        return directory_of(target.source.path, name, place) == target.source.path

    def _followed(self, derived: Derived, name: str, place: str) -> Contents:
        """The source's file, or a directory's files, with the new values put in."""
        contents = contents_at(self.draft, place)
        if name == self._names.base_images:
            return contents
        if inside(place, derived.target.source.path) and "" not in contents:
            taken = set(self._own_files(derived.target.source).values())
            contents = {k: v for k, v in contents.items() if f"{place}/{k}" in taken}
        return {
            inner: Content(
                data=self._follow(derived, f"{place}/{inner}".rstrip("/"), content.data),
                executable=content.executable,
            )
            for inner, content in contents.items()
        }

    def _follow(self, derived: Derived, place: str, data: bytes) -> bytes:
        target = derived.target
        try:
            text = data.decode()
        except UnicodeDecodeError:
            return data
        if "\0" in text:
            return data
        followed = follow(text, derived.renames, target.source.path, target.path)
        text = followed.text
        if place.rpartition("/")[2] == self._names.template:
            text = self._described(text, derived, place)
        derived.replacements += [(place, item) for item in followed.replacements]
        derived.hints += [(place, item) for item in followed.hints]
        return text.encode()

    def _described(self, text: str, derived: Derived, place: str) -> str:
        """A description that names some configuration names the new one."""
        target = derived.target
        try:
            builder = parse_packer_template(text, place).builder
        except InvalidInput:
            return text
        old = builder.get("ami_description")
        if not isinstance(old, str) or old == target.path or not self.catalogue.layout.match(old):
            return text
        edited = json_text.set_value(text, ["builders", 0, "ami_description"], target.path, place)
        line = text[: text.find(old)].count("\n") + 1
        derived.replacements.append(
            (place, Replacement(line=line, dimension="path", old=old, new=target.path))
        )
        return edited

    # -- where it goes --------------------------------------------------------------------------

    def _place_inherited(self, derived: Derived, name: str, place: str, contents: Contents) -> None:
        """A file that the source has from above: at the same height, unless that reaches others."""
        if name == self._names.base_images:
            return
        if self._placement.gives(derived.target.path, name, contents):
            derived.inherited.append(name)
            return
        directory = self._placement.directory_for(derived.target, name, place, contents)
        self._write(derived, join(directory, name), place, contents)

    def _place_own(self, derived: Derived, name: str, place: str, contents: Contents) -> None:
        above = parent_of(derived.target.path)
        if self._placement.gives(above, name, contents):
            derived.inherited.append(name)
        else:
            self._write(derived, join(derived.target.path, name), place, contents)

    def _copy_unused(self, derived: Derived, own: Mapping[str, str]) -> None:
        """Files of the source's directory that nothing refers to, such as a README."""
        for inner, place in self._own_files(derived.target.source).items():
            data = self.draft.read(place)
            if data is None or any(inside(place, known) for known in own.values()):
                continue
            content = Content(
                data=self._follow(derived, place, data),
                executable=self.draft.is_executable(place),
            )
            self._write(derived, join(derived.target.path, inner), place, {"": content})

    def _carry_mutes(self, derived: Derived) -> None:
        """Mutes of directories above the source that are not above the new one."""
        target, name = derived.target, self._names.mutes
        for directory in upwards(parent_of(target.source.path)):
            place = join(directory, name)
            if inside(target.path, directory) or not self.draft.exists(place):
                continue
            followed = self._followed(derived, name, place)
            above = self._placement.counterpart(target, name, place) or target.path
            there = join(above, name)
            if self.draft.exists(there) and contents_at(self.draft, there) == followed:
                continue
            if self.draft.exists(there) or self._placement.existing_below(above):
                derived.warnings.append(f"the mutes in {place} do not hold for it: see {there}")
            else:
                self._write(derived, there, place, followed)

    def _own_files(self, source: Configuration) -> dict[str, str]:
        """The files in the source's directory: not published, not another configuration's."""
        others = set(self._placement.existing_below(source.path)) - {source.path}
        return {
            inner: place
            for inner, place in self.draft.files_below(source.path).items()
            if inner not in self._names.published
            and (self._listed is None or place in self._listed)
            and not any(above in others for above in upwards(place))
        }

    def _write(self, derived: Derived, path: str, origin: str, contents: Contents) -> None:
        for inner, content in contents.items():
            place = f"{path}/{inner}".rstrip("/")
            old = self.draft.read(place) if self.draft.exists(place) else None
            if old is not None and old != content.data and (self.catalogue.root / place).exists():
                raise UsageError(
                    f"{place} exists and is not what would be derived. Nothing was written.",
                    resolution="move it away, or derive to another place",
                )
            source = f"{origin}/{inner}".rstrip("/")
            self.draft.write(place, content.data, copied_from=source, executable=content.executable)
            derived.files[place] = source

    # -- base images ----------------------------------------------------------------------------

    def _place_base_images(self, derived: Derived) -> None:
        """The source's base images, unless the new place has its own; a warning where they
        most likely belong to something else.
        """
        target, name = derived.target, self._names.base_images
        old = find(self.draft, target.source.path, name)
        here = find(self.draft, target.path, name)
        new = (
            {"": Content(data=self._base_images.encode(), executable=False)}
            if self._base_images is not None
            else contents_at(self.draft, old)
            if old is not None
            else None
        )
        if new is None:
            return
        of_its_own = (
            here is not None
            and (self.catalogue.root / here).exists()
            and not inside(target.source.path, parent_of(here))
        )
        if self._base_images is None and of_its_own:
            derived.inherited.append(name)
            return
        if not self._placement.gives(target.path, name, new):
            directory = target.path
            if old is not None:
                directory = self._placement.directory_for(target, name, old, new)
            self._write(derived, join(directory, name), old or "base images", new)
        else:
            derived.inherited.append(name)
        moved = [item for item in derived.renames if item.dimension in OF_THE_BASE_IMAGE]
        if moved and self._base_images is None:
            derived.has_old_base = True
            told = " and ".join(f"{item.dimension} {item.old}" for item in moved)
            derived.warnings.append(
                f"its base images are still those of {told}: put the right ones into "
                f"{find(self.draft, target.path, name)}, or give them with --base-images"
            )

    def _set_source_image(self, derived: Derived) -> None:
        """A template's own base image follows when the base images are not the source's."""
        target, names = derived.target, self._names
        old = self._base_of(target.source.path)
        new = self._base_of(target.path)
        place = find(self.draft, target.path, names.template)
        if new is None or new == old or place is None or place not in derived.files:
            return
        text = self.draft.read_text(place)
        try:
            template = parse_packer_template(text or "", place)
            image = new.get(build_region(template))
        except InvalidInput:
            return
        written = template.builder.get("source_ami")
        if text is None or image is None or not isinstance(written, str) or written == image:
            return
        edited = json_text.set_value(text, ["builders", 0, "source_ami"], image, place)
        self.draft.write(place, edited, copied_from=derived.files[place])
        line = text[: text.find(written)].count("\n") + 1
        derived.replacements.append(
            (place, Replacement(line=line, dimension="base image", old=written, new=image))
        )

    def _base_of(self, path: str) -> Mapping[str, str] | None:
        place = find(self.draft, path, self._names.base_images)
        try:
            text = self.draft.read_text(place) if place is not None else None
            return None if text is None or place is None else parse_base_images(text, place)
        except InvalidFile:
            return None

    # -- being a configuration ------------------------------------------------------------------

    def _keep_a_configuration(
        self, derived: Derived, used: Mapping[str, str], wanted: Mapping[str, Contents]
    ) -> None:
        """Copy inherited files after all when the directory would be no configuration without."""
        path = derived.target.path
        below = [*self._placement.existing_below(path), *self._placement.planned]
        has_others_below = any(inside(other, path) and other != path for other in below)
        candidates = [self._names.config, self._names.profile, self._names.old_profile]
        for name in [None, *candidates, self._names.template]:
            if name is not None and name in wanted:
                self._write(derived, join(path, name), used[name], wanted[name])
            found = {item for item in self._names.all if self.draft.exists(join(path, item))}
            if is_configuration(frozenset(found), self._names, has_others_below=has_others_below):
                return
        raise UsageError(
            f"{derived.target.source.path} has nothing that a configuration can be derived from.",
            resolution="give it a template, a profile or a test configuration first",
        )


def _listed_files(catalogue: Catalogue, targets: Iterable[Target]) -> frozenset[str] | None:
    """The files that git has or would take; None where there is no git, and all files count."""
    tree = GitTree(root=catalogue.root)
    sources = sorted({target.source.path for target in targets})
    if not sources or not tree.is_work_tree():
        return None
    return tree.listed(sources)
