"""Places in parsed documents, and documents with something else in one place.

A path is a sequence of keys of mappings and of numbers of list items.
"""

from collections.abc import Mapping
from typing import Any

from osqual.errors import InvalidFile
from osqual.formats.documents import KeyPath


def told(path: KeyPath) -> str:
    """A path as it is named to people."""
    return ".".join(map(str, path))


def is_there(data: Any, path: KeyPath) -> bool:
    """Whether a document has a place, if only for nothing."""
    try:
        value_at(data, path)
    except LookupError:
        return False
    return True


def value_at(data: Any, path: KeyPath) -> Any:
    """What stands in a place. Raises LookupError."""
    for step in path:
        if isinstance(data, list) and isinstance(step, int) and 0 <= step < len(data):
            data = data[step]
        elif isinstance(data, Mapping) and str(step) in data:
            data = data[str(step)]
        else:
            raise LookupError(told(path))
    return data


def put(data: Any, path: KeyPath, value: Any, source: str) -> Any:
    """A document with a value in a place; missing mappings around it are made.

    Raises InvalidFile for a place that cannot be.
    """
    if not path:
        return value
    step, rest = path[0], path[1:]
    if isinstance(data, list) and isinstance(step, int) and 0 <= step < len(data):
        return [*data[:step], put(data[step], rest, value, source), *data[step + 1 :]]
    if data is not None and not isinstance(data, Mapping):
        raise InvalidFile(source, "there is no such place in it", key=told(path))
    old = data or {}
    return {**old, str(step): put(old.get(str(step)), rest, value, source)}


def drop(data: Any, path: KeyPath, emptied: Any) -> Any:
    """A document without a place that it has. `emptied` is what a mapping without keys becomes."""
    step, rest = path[0], path[1:]
    if isinstance(data, list):
        inner = [drop(data[int(step)], rest, emptied)] if rest else []
        return [*data[: int(step)], *inner, *data[int(step) + 1 :]]
    if rest:
        return {**data, str(step): drop(data[str(step)], rest, emptied)}
    return {key: item for key, item in data.items() if key != str(step)} or emptied


def nested(path: KeyPath, value: Any) -> Any:
    """A value below mappings of one key each."""
    for step in reversed(path):
        value = {str(step): value}
    return value
