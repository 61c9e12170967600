"""What the commands that ask a catalogue share: its dimensions as options, and completion."""

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from osqual.catalogue.catalogue import (
    Catalogue,
    cache_of,
    conventions_of,
    find_catalogue,
    open_catalogue,
)
from osqual.catalogue.facts import read_facts
from osqual.catalogue.filters import ABSENT, Filters, parse_filters
from osqual.catalogue.globs import glob_matcher
from osqual.catalogue.layout import Layout
from osqual.conventions import DCOS_IMAGES
from osqual.errors import OsqualError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

_START = "osqual.start"


class CatalogueCommand(click.Command):
    """A command with one repeatable option for each dimension of the catalogue's own layout.

    The callback gets them as keyword arguments by the dimensions' names.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Look for the catalogue first: it decides which options there are."""
        ctx.meta[_START] = _start_of(args)
        return super().parse_args(ctx, args)

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """The declared parameters, and the dimensions."""
        declared = super().get_params(ctx)
        if "dimensions" not in ctx.meta:
            ctx.meta["dimensions"] = [_option(name) for name in _dimensions(ctx)]
        return [*ctx.meta["dimensions"], *declared]


def _start_of(args: list[str]) -> Path:
    for index, arg in enumerate(args):
        if arg in ("-C", "--catalogue") and index + 1 < len(args):
            return Path(args[index + 1])
        for prefix in ("--catalogue=", "-C"):
            if arg.startswith(prefix) and len(arg) > len(prefix):
                return Path(arg.removeprefix(prefix))
    return Path()


def start_of(ctx: click.Context) -> Path:
    """The directory that the command was told to look in."""
    start = ctx.meta.get(_START, Path())
    assert isinstance(start, Path)  # noqa: S101 - set above
    return start


def _dimensions(ctx: click.Context) -> tuple[str, ...]:
    """The layout's dimensions; those of dcos/dcos-images while there is no usable catalogue."""
    try:
        root = find_catalogue(start_of(ctx))
        conventions = conventions_of(root, cache_of(root, os.environ))
        return Layout(pattern=conventions.layout).dimensions
    except (OsqualError, OSError):  # the command itself will say what is wrong
        return Layout(pattern=DCOS_IMAGES.layout).dimensions


def _option(dimension: str) -> click.Option:
    return click.Option(
        [f"--{dimension.replace('_', '-')}", dimension],
        multiple=True,
        metavar="VALUE",
        shell_complete=complete_dimension,
        help=f"Only this {dimension.replace('_', ' ')}.",
    )


def filters_of(catalogue: Catalogue, dimensions: Mapping[str, Any]) -> Filters:
    """The filters that the dimension options say. Raises UsageError."""
    return parse_filters(dimensions, catalogue.conventions.aliases)


def complete_dimension(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> "list[CompletionItem]":
    """The values that a dimension has in the catalogue, given the filters typed so far."""
    dimension = str(param.name)
    try:
        catalogue = open_catalogue(_completion_start(ctx), environ=os.environ)
        others = {
            name: values
            for name, values in ctx.params.items()
            if name in catalogue.layout.dimensions and name != dimension and values
        }
        filters = filters_of(catalogue, others)
        facts, _ = read_facts(catalogue, filters)
        found = {item.dimensions.get(dimension, ABSENT) for item in facts}
    except (OsqualError, OSError):
        return []
    return _items(found, incomplete)


def complete_leaf(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> "list[CompletionItem]":
    """The configurations' paths, one directory at a time, as a shell completes paths.

    A directory above configurations ends in a slash, so that typing goes on from there.
    """
    try:
        start = _completion_start(ctx)
        facts, _ = read_facts(open_catalogue(start, environ=os.environ))
        paths = {item.path for item in facts}
    except (OsqualError, OSError):
        return []
    if incomplete in paths:
        return _items(paths, incomplete)
    stem = incomplete.rpartition("/")[0]
    depth = stem.count("/") + 2 if stem else 1
    heads = {"/".join(path.split("/")[:depth]) for path in paths}
    return _items({head if head in paths else f"{head}/" for head in heads}, incomplete)


def _completion_start(ctx: click.Context) -> Path:
    start = ctx.params.get("start")
    return Path(start) if start else Path()


def _items(values: Iterable[str], incomplete: str) -> "list[CompletionItem]":
    from click.shell_completion import CompletionItem

    return [CompletionItem(value) for value in sorted(values) if value.startswith(incomplete)]


def region_matcher(regions: Iterable[str]) -> Callable[[str], bool]:
    """A predicate over region names; without a wish each region matches."""
    matchers = [glob_matcher(region) for region in regions]
    known: dict[str, bool] = {}

    def matches(region: str) -> bool:
        if region not in known:
            known[region] = not matchers or any(matcher(region) for matcher in matchers)
        return known[region]

    return matches
