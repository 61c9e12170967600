"""OSQ1xx: files that cannot be read, keys that mean nothing, references that lead nowhere."""

import posixpath
import re
from collections.abc import Callable, Iterator

from osqual.builders.inputs import ROOT_KEYS
from osqual.builders.refusals import template_problems
from osqual.catalogue.tree import upwards
from osqual.errors import InvalidFile, InvalidInput, UnknownKey, Unusable, dotted
from osqual.formats.spelling import did_you_mean
from osqual.lint.duplicates import (
    Duplicate,
    json_duplicates,
    profile_duplicates,
    yaml_duplicates,
)
from osqual.lint.finding import Found, error, warning
from osqual.lint.view import View
from osqual.products.definition import FILE_NAME as PRODUCT_FILE
from osqual.products.definition import find_product, known_products, load_product

# What lies in a catalogue for people and for tools, and is no part of any image.
_FOR_PEOPLE = re.compile(r"\.|(?:README|LICENSE|COPYING|NOTICE|CODEOWNERS)|.*\.(?:md|rst|txt)\Z")


def unreadable(view: View) -> Iterator[Found]:
    """Files that cannot be read or parsed, or hold a value that cannot be meant."""
    for problem in view.all_problems:
        if not isinstance(problem, UnknownKey):
            yield _of_problem(problem)
    for path in view.contents.unnameable:
        yield Found(file=path, message="has a name that is not UTF-8")
    yield from _broken_products(view)


def _broken_products(view: View) -> Iterator[Found]:
    """Definitions of products that a run could not use."""
    for path in view.contents.paths:
        folder, _, name = path.rpartition("/")
        if name == PRODUCT_FILE and posixpath.dirname(folder) == posixpath.normpath(view.products):
            try:
                load_product(posixpath.basename(folder), view.catalogue.root, view)
            except Unusable as error:
                for problem in error.problems:
                    key = dotted(problem.key)
                    yield Found(file=path, line=problem.line, key=key, message=problem.words)
            except InvalidFile as error:
                yield Found(file=path, line=error.line, key=error.key, message=error.problem)
            except InvalidInput as error:
                yield Found(file=path, message=error.brief)


def unknown_key(view: View) -> Iterator[Found]:
    """Keys that mean nothing."""
    for problem in view.all_problems:
        if isinstance(problem, UnknownKey):
            yield _of_problem(problem)
    for path in view.known_files(view.catalogue.conventions.files.template):
        template = view.template(path)
        for key in template.data if template is not None else ():
            if key not in ROOT_KEYS and not key.startswith("_"):  # `_comment` is Packer's own
                hint = did_you_mean(key, ROOT_KEYS)
                yield Found(
                    file=path,
                    line=view.json_line(path, [key]),
                    key=key,
                    message=f"is not a key of a Packer template{hint}",
                )


def _of_problem(problem: InvalidFile) -> Found:
    return Found(file=problem.source, line=problem.line, key=problem.key, message=problem.problem)


def duplicate_key(view: View) -> Iterator[Found]:
    """Keys that one file sets twice."""
    files = view.catalogue.conventions.files
    readers: dict[str, Callable[[str], list[Duplicate]]] = {
        **dict.fromkeys((files.profile, files.old_profile), profile_duplicates),
        **dict.fromkeys((files.config, files.images, files.mutes), yaml_duplicates),
        **dict.fromkeys((files.template, files.base_images, files.history), json_duplicates),
    }
    broken = {problem.source for problem in view.all_problems}
    for name, read in readers.items():
        for path in view.known_files(name):
            text = None if path in broken else view.contents.text(path)
            for key, line, before in read(text) if text is not None else ():
                message = f"is set twice: line {before} sets it already, and one of them is ignored"
                yield Found(file=path, line=line, key=key, message=message)


def missing_reference(view: View) -> Iterator[Found]:
    """Files that a template names and that are nowhere."""
    for leaf in view.leaves:
        for reference in view.references(leaf):
            if reference.path is None:
                yield Found(
                    file=leaf.template,
                    line=view.json_line(leaf.template, reference.key),
                    key=dotted(reference.key),
                    message=f"{reference.problem} here and in every directory above"
                    if "missing" in reference.problem
                    else reference.problem,
                    configuration=leaf.path,
                )


def unused_file(view: View) -> Iterator[Found]:
    """Files in configurations' directories that nothing uses."""
    known = frozenset(view.catalogue.conventions.files.all)
    directories = {place for leaf in view.leaves for place in upwards(leaf.path)}
    folders = {leaf.path for leaf in view.leaves}
    mentions = _Mentions(view)
    for path in view.contents.paths:
        directory, _, name = path.rpartition("/")
        if _FOR_PEOPLE.match(name):
            continue
        owner = next((place for place in upwards(directory) if place in directories), None)
        if owner is None or _is_used(view, path):
            continue
        if name in known and directory in directories:
            if name in view.catalogue.conventions.files.published:
                continue
            message = "is never used: every configuration below has one that is nearer"
            yield Found(file=path, message=message)
        elif owner in folders and not mentions.has(owner, path):
            yield Found(file=path, message="is never used: no template here or below names it")


def _is_used(view: View, path: str) -> bool:
    return path in view.users or any(place in view.users for place in upwards(path) if place)


class _Mentions:
    """Whether the text of a configuration's scripts names a file: then it is fetched or sourced."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._texts: dict[str, str] = {}

    def has(self, directory: str, path: str) -> bool:
        return posixpath.basename(path) in self._text(directory)

    def _text(self, directory: str) -> str:
        if directory not in self._texts:
            below = (
                leaf
                for leaf in self._view.leaves
                if leaf.path == directory or leaf.path.startswith(f"{directory}/")
            )
            self._texts[directory] = "\n".join(
                text
                for leaf in below
                for text in (
                    self._view.contents.text(leaf.template) or "" if leaf.template else "",
                    *(script.text for script in self._view.scripts(leaf)),
                )
            )
        return self._texts[directory]


def deprecated_setup(view: View) -> Iterator[Found]:
    """The deprecated script that runs on every node."""
    for path in view.known_files(view.catalogue.conventions.files.setup):
        message = "is deprecated: let the template's provisioners or the product do its work"
        yield Found(file=path, message=message)


def refused_template(view: View) -> Iterator[Found]:
    """Options and provisioners that the template's builder does not have, values it cannot use."""
    for path in view.known_files(view.catalogue.conventions.files.template):
        template = view.template(path)
        for problem in template_problems(template, view.environ) if template is not None else ():
            if problem.key and problem.key[0] not in ROOT_KEYS:
                continue  # an unknown key is OSQ102's
            yield Found(
                file=path,
                line=view.json_line(path, problem.key),
                key=dotted(problem.key),
                message=problem.words,
            )


def undefined_product(view: View) -> Iterator[Found]:
    """Products that paths name and nobody defines."""
    root = view.catalogue.root
    undefined = {
        name: find_product(name, root, view) is None
        for name in {leaf.dimensions.get("product", "") for leaf in view.leaves} - {""}
    }
    for leaf in view.leaves:
        name = leaf.dimensions.get("product", "")
        if undefined.get(name):
            hint = did_you_mean(name, known_products(root, view))
            yield Found(
                file=f"{view.products}/{name.lower()}/{PRODUCT_FILE}",
                message=f"is missing: configurations are of the product {name!r}{hint}",
                configuration=leaf.path,
            )


RULES = (
    error("OSQ101", "File cannot be read", unreadable),
    error("OSQ102", "Unknown key", unknown_key),
    error("OSQ103", "Key set twice", duplicate_key),
    error("OSQ104", "Referenced file is missing", missing_reference),
    warning("OSQ105", "File is never used", unused_file),
    warning("OSQ106", "Deprecated set-up script", deprecated_setup),
    error("OSQ107", "Template is refused", refused_template),
    error("OSQ108", "Product is not defined", undefined_product),
)
