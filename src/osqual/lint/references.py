"""What templates name: the files that they use, where each is found, and the scripts among them."""

import posixpath
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from osqual.catalogue.catalogue import Catalogue
from osqual.catalogue.files import find_file
from osqual.catalogue.tree import upwards
from osqual.errors import InvalidFile, InvalidInput
from osqual.lint.contents import Contents
from osqual.lint.shell import Script
from osqual.model import Configuration
from osqual.recipe import files_of
from osqual.templates.template import PackerTemplate


@dataclass(frozen=True, kw_only=True)
class Reference:
    """A file that a template uses. `path` is None when there is none, and `problem` says why."""

    name: str
    key: tuple[str | int, ...]
    """Where in the template it is named."""
    path: str | None
    runs: bool
    """Whether it is run as a script, rather than uploaded."""
    problem: str = ""


@dataclass(kw_only=True)
class References:
    """The references of every configuration, each looked up once. What cannot be read is noted in
    `problems`.
    """

    catalogue: Catalogue
    contents: Contents
    template: Callable[[str], PackerTemplate | None]
    """A template by its path; None for one that is absent or broken."""
    problems: dict[str, InvalidFile]
    _references: dict[str, tuple[Reference, ...]] = field(default_factory=dict)
    _scripts: dict[str, tuple[Script, ...]] = field(default_factory=dict)
    _by_place: dict[str, Script | None] = field(default_factory=dict)
    """Scripts by their path, and inline ones by the template and their number in it."""

    def of(self, configuration: Configuration, template: str) -> tuple[Reference, ...]:
        """Every file that a configuration's template names."""
        path = configuration.path
        if path not in self._references:
            found = self.template(template)
            references = self._find(configuration, found) if found is not None else ()
            self._references[path] = tuple(references)
        return self._references[path]

    def _find(self, configuration: Configuration, template: PackerTemplate) -> Iterator[Reference]:
        builder = PackerTemplate(data={**template.data, "provisioners": []}, source=template.source)
        for name in self._names(builder):
            yield self._reference(configuration, name, ("builders", 0), runs=False)
        for index, entry in enumerate(template.provisioners):
            alone = PackerTemplate(
                data={**template.data, "builders": [{"type": "none"}], "provisioners": [entry]},
                source=template.source,
            )
            for name in self._names(alone):
                key = ("provisioners", index, *_place_of(entry, name))
                yield self._reference(configuration, name, key, runs=entry["type"] == "shell")

    def _names(self, template: PackerTemplate) -> tuple[str, ...]:
        try:
            return files_of(template)
        except InvalidInput as error:
            problem = InvalidFile(template.source, error.brief.removeprefix(f"{template.source}: "))
            self.problems.setdefault(template.source, problem)
            return ()

    def _reference(
        self, configuration: Configuration, name: str, key: tuple[str | int, ...], *, runs: bool
    ) -> Reference:
        path, problem = self._look_up(configuration, name)
        return Reference(name=name, key=key, path=path, runs=runs, problem=problem)

    def _look_up(self, configuration: Configuration, name: str) -> tuple[str | None, str]:
        if not name.startswith("/"):
            for directory in upwards(configuration.path):
                path = posixpath.normpath(posixpath.join(directory, name))
                if path in self.contents.files and path not in self.contents.links:
                    return path, ""
                if path in self.contents.links:
                    break
        try:
            found = find_file(self.catalogue, configuration, name)
        except InvalidInput as error:
            return None, error.brief.removeprefix(f"{configuration.path}: ")
        if found is None:
            return None, f"the file {name!r} is missing"
        return found.relative_to(self.catalogue.root).as_posix(), ""

    def scripts(self, configuration: Configuration, template: str) -> tuple[Script, ...]:
        """The scripts that build a configuration's image, in the order of the template."""
        path = configuration.path
        if path not in self._scripts:
            self._scripts[path] = tuple(self._find_scripts(configuration, template))
        return self._scripts[path]

    def _find_scripts(self, configuration: Configuration, place: str) -> Iterator[Script]:
        template = self.template(place)
        if template is None:
            return
        by_provisioner: dict[int, list[Reference]] = {}
        for reference in self.of(configuration, place):
            if reference.key[0] == "provisioners":
                by_provisioner.setdefault(int(reference.key[1]), []).append(reference)
        for index, entry in enumerate(template.provisioners):
            given = _given(entry)
            for reference in by_provisioner.get(index, ()):
                script = self.script(reference)
                if script is not None:
                    yield _with(given, script)
            if entry["type"] == "shell" and entry.get("inline"):
                yield _with(given, self._inline(place, index, entry))

    def script(self, reference: Reference) -> Script | None:
        """The script that a reference means; None when it is none."""
        path = reference.path
        if path is None or path not in self.contents.files:
            return None
        if not reference.runs and not path.endswith((".sh", ".bash")):
            return None
        if path not in self._by_place:
            self._by_place[path] = self._read(path)
        return self._by_place[path]

    def _read(self, path: str) -> Script | None:
        content = self.contents.content(path)
        if content is None or content.is_binary:
            return None
        text = self.contents.text(path)
        if text is None:
            self.problems.setdefault(path, self.contents.problems[path])
            return None
        return Script(file=path, text=text)

    def _inline(self, template: str, index: int, entry: Mapping[str, Any]) -> Script:
        place = f"{template}#{index}"
        script = self._by_place.get(place)
        if script is None:
            inline = entry["inline"]
            lines = [str(line) for line in inline] if isinstance(inline, list) else [str(inline)]
            script = self._by_place[place] = Script(
                file=template,
                text="\n".join(lines),
                line=0,
                key=f"provisioners[{index}].inline",
                interpreter="#!" + str(entry.get("inline_shebang", "/bin/sh -e")),
            )
        return script


def _given(provisioner: Mapping[str, Any]) -> dict[str, str]:
    """The `environment_vars` of a provisioner that are written out."""
    written = provisioner.get("environment_vars")
    texts = [str(item) for item in written] if isinstance(written, list) else []
    pairs = (text.partition("=") for text in texts if "{{" not in text)
    return {name: value for name, _, value in pairs}


def _with(given: Mapping[str, str], script: Script) -> Script:
    """The script as one provisioner starts it; most are shared, with all that was read of them."""
    return replace(script, given=given) if given else script


def _place_of(entry: Mapping[str, Any], name: str) -> tuple[str | int, ...]:
    """The key of a provisioner under which a file is named."""
    for key in ("script", "source"):
        if entry.get(key) == name:
            return (key,)
    for key in ("scripts", "sources"):
        values = entry.get(key)
        if isinstance(values, list) and name in values:
            return (key, values.index(name))
    return ()
