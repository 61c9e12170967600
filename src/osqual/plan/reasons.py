"""Which inputs of a qualification differ, in words that a person understands."""

from collections.abc import Iterable, Mapping

from osqual.catalogue.published import Record
from osqual.plan.surroundings import SURROUNDINGS

_NOUNS: Mapping[str, str] = {
    "base": "the base image",
    "template": "the template",
    "profile": "the cluster profile",
    "config": "the publish and test configuration",
    "setup": "the setup script",
    "product": "the product definition",
    "machine": "the size of the machines",
    "dimensions": "what its path means",
    "mutes": "what is muted",
    "policy": "the policy",
    "parameters": "what the settings give the product",
    "osqual": "the version of osqual",
}


def reasons_against(record: Record, digests: Mapping[str, str], path: str) -> list[str]:
    """Why a record does not speak for these inputs; empty when it does."""
    reasons = []
    # What one side does not know of cannot have changed.
    ignored = SURROUNDINGS - (record.inputs.keys() & digests.keys())
    if record.configuration and record.configuration != path:
        reasons.append(f"its record was made for {record.configuration}")
        ignored |= {"dimensions"}
    if record.inputs:
        reasons += changes_between(record.inputs, digests, ignored)
    else:
        ours = {name: digest for name, digest in digests.items() if is_recipe_input(name)}
        reasons += changes_between(record.recipe_inputs, ours)
    return reasons


def is_recipe_input(name: str) -> bool:
    """Whether an input of a qualification goes into the image."""
    return name in ("base", "template") or name.startswith(("file:", "executable:"))


def changes_between(
    old: Mapping[str, str], new: Mapping[str, str], ignored: Iterable[str] = ()
) -> list[str]:
    """Which inputs differ, in words, sorted with those of the image first."""
    names = sorted((old.keys() | new.keys()) - set(ignored), key=_importance)
    return [_words(name, old, new) for name in names if old.get(name) != new.get(name)]


def _importance(name: str) -> tuple[int, str]:
    first = ["base", "template"]
    return (first.index(name) if name in first else 2 if ":" in name else 3, name)


def _words(name: str, old: Mapping[str, str], new: Mapping[str, str]) -> str:
    kind, _, file = name.partition(":")
    noun = file or _NOUNS.get(name, name)
    if kind == "executable":
        return f"{noun} is {'now' if name in new else 'no longer'} executable"
    if name not in old:
        return f"{noun} is new"
    if name not in new:
        return f"{noun} is gone"
    return f"{noun} {'moved' if name == 'base' else 'changed'}"
