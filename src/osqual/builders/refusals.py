"""What the builder of a template would refuse, known without a run."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from osqual.builders.ami_template import (
    BUILDER_TYPE,
    SecretInTemplate,
    check_template,
    user_references,
)
from osqual.builders.inputs import read_inputs
from osqual.errors import InvalidInput, Problem, Unusable
from osqual.formats.spelling import did_you_mean
from osqual.templates.template import PackerTemplate

DEFAULT_BUILDERS: Mapping[str, str] = {"qemu": "layered", BUILDER_TYPE: BUILDER_TYPE}
"""Type of a template's builder -> the builder that builds it unless another one is asked for."""

_SOME_TIME = datetime(2000, 1, 1, tzinfo=UTC)


def template_problems(template: PackerTemplate, environ: Mapping[str, str]) -> tuple[Problem, ...]:
    """Everything for which the default builder would refuse a template, each with its place.

    A value that the environment of a build decides is not judged. Credentials have their own rule.
    """
    try:
        _check(template, environ)
    except SecretInTemplate:
        return ()
    except Unusable as refusal:
        return tuple(item for item in refusal.problems if not _from_environment(template, item))
    except InvalidInput as error:
        words = error.brief.removeprefix(f"{template.source}: ")
        return (Problem((), words),)
    return ()


def _check(template: PackerTemplate, environ: Mapping[str, str]) -> None:
    kind = template.builder_type
    if kind == BUILDER_TYPE:
        check_template(template, environ)
    elif kind in DEFAULT_BUILDERS:
        read_inputs(template, environ, _SOME_TIME)
    else:
        words = f"templates for {kind!r} cannot be built{did_you_mean(kind, DEFAULT_BUILDERS)}"
        raise Unusable(f"{template.source}: {words}.", [Problem(("builders", 0, "type"), words)])


def _from_environment(template: PackerTemplate, problem: Problem) -> bool:
    """Whether a value may well be right where the template is built."""
    value: Any = template.data
    for part in problem.key:
        try:
            value = value[part]
        except (LookupError, TypeError):
            return False
    asked = {
        name
        for name, default in template.variables.items()
        if "{{" in str(default) and "env" in str(default)
    }
    return any(name in asked for _, name in user_references(value))
