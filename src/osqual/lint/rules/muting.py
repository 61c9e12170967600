"""OSQ51x: tests that do not count: without a ticket, too widely, too long, or not at all."""

import re
from collections.abc import Iterator

from osqual.lint.finding import Found, error, warning
from osqual.lint.view import View
from osqual.mutes.inventory import ConfigText, How, muted_in_config
from osqual.mutes.mute import Mute
from osqual.mutes.product_tests import unknown_to_products

_LISTED = 5
_SAYS_MUTED = re.compile(r"(?i)mute|skip|fail|flak|broken|disabled|known")


def _configs(view: View) -> Iterator[ConfigText]:
    for path in view.known_files(view.catalogue.conventions.files.config):
        config = view.config_text(path)
        if config is not None:
            yield config


def _mutes(view: View) -> Iterator[Mute]:
    for path in view.known_files(view.catalogue.conventions.files.mutes):
        yield from view.mutes(path)


def no_ticket(view: View) -> Iterator[Found]:
    """Mutes of which nobody can tell when they may go."""
    tests, files = view.known_tests
    for config in _configs(view):
        for item in muted_in_config(config, tests, files):
            if item.ticket:
                continue
            if item.how is not How.FILES:
                message = f"{item.test} is left out, and no comment names a ticket"
            elif item.left_out:
                message = f"leaves out {_some(item.left_out)}, and no comment names a ticket"
            else:
                continue
            yield Found(file=item.source, line=item.line, key="tests_to_run", message=message)
    for mute in _mutes(view):
        if not mute.ticket:
            message = f"the mute of {mute.test} names no ticket"
            yield Found(file=mute.source, line=mute.line, message=message)


def _some(names: tuple[str, ...]) -> str:
    more = len(names) - _LISTED
    return ", ".join(names[:_LISTED]) + (f" and {more} more" if more > 0 else "")


def expired(view: View) -> Iterator[Found]:
    """Mutes whose last day has passed: the tests count again."""
    for mute in _mutes(view):
        if not mute.in_force(view.today):
            message = f"the mute of {mute.test} ended on {mute.until}: the test counts again"
            yield Found(file=mute.source, line=mute.line, message=message)


def only_commented(view: View) -> Iterator[Found]:
    """Tests that a comment calls muted although they are run and count."""
    for config in _configs(view):
        disabled = config.remarks.disabled.expression
        excluded = set(disabled.keywords.excludes if disabled and disabled.keywords else ())
        lines = {
            name: remark.line
            for name, remark in config.remarks.named.items()
            if remark.ticket or _SAYS_MUTED.search(remark.text)
        }
        commented = {**dict.fromkeys(excluded, config.remarks.disabled_line), **lines}
        for name, line in sorted(commented.items()):
            if _counts(view, config, name):
                how = "is commented out" if name in excluded else "is mentioned in a comment"
                message = f"{name} {how}, but it is run and counts"
                yield Found(file=config.source, line=line, message=message)


def _counts(view: View, config: ConfigText, name: str) -> bool:
    """Whether a test is run by a configuration that uses the file, and not muted there."""
    to_run = config.to_run
    expression = to_run.expression
    keywords = expression.keywords if expression is not None else None
    if keywords is not None and not keywords.runs(name):
        return False
    if any(named.name.rpartition("::")[2] == name for named in to_run.deselected):
        return False
    users = view.users.get(config.source, ())
    mutes = [mute for mute in _mutes(view) if mute.mutes(name) and mute.in_force(view.today)]
    leaves = [leaf for leaf in view.leaves if leaf.path in set(users)] if mutes else []
    return not leaves or not all(
        any(mute.applies_to(leaf.path, leaf.dimensions) for mute in mutes) for leaf in leaves
    )


def too_wide(view: View) -> Iterator[Found]:
    """Mutes that hide more than they name."""
    tests, files = view.known_tests
    for config in _configs(view):
        expression = config.to_run.expression
        if expression is None or expression.keywords is None:
            continue
        keywords = expression.keywords
        for word in keywords.excludes:
            hidden = keywords.also_hidden(word, tests | files)
            if hidden:
                yield Found(
                    file=config.source,
                    line=config.line_of(expression.item),
                    key="tests_to_run",
                    message=f"`not {word}` hides {_some(hidden)} too: -k looks for a part of "
                    "the name",
                )
    for mute in _mutes(view):
        if any(char in mute.test for char in "*?") and not _names_anything(mute.test):
            message = f"{mute.test!r} mutes nearly everything"
            yield Found(file=mute.source, line=mute.line, message=message)


def _names_anything(pattern: str) -> bool:
    """Whether a glob's last part says more than that it is a test."""
    last = pattern.rpartition("::")[2].removeprefix("test_")
    return bool(re.search(r"\w", last)) or "::" in pattern.replace("**", "").strip("*?:")


def repeated_k(view: View) -> Iterator[Found]:
    """Several -k: pytest takes the last."""
    for config in _configs(view):
        for expression in config.to_run.expressions[:-1]:
            yield Found(
                file=config.source,
                line=config.line_of(expression.item),
                key="tests_to_run",
                message="has no effect: of several -k only the last counts; join them with `and`",
            )


def unusable(view: View) -> Iterator[Found]:
    """Items that pytest would refuse."""
    for config in _configs(view):
        problems = [
            (expression.item, f"-k {expression.text!r} is no expression: {expression.problem}")
            for expression in config.to_run.expressions
            if expression.problem
        ]
        for item, message in [*problems, *config.to_run.problems]:
            line = config.line_of(item)
            yield Found(file=config.source, line=line, key="tests_to_run", message=message)


def without_effect(view: View) -> Iterator[Found]:
    """Mutes whose scope has no configuration in it, or that name no test."""
    for mute in _mutes(view):
        reached = [
            leaf.configuration
            for leaf in view.leaves
            if mute.applies_to(leaf.path, leaf.dimensions)
        ]
        why = "no configuration is in its scope"
        if reached:
            why = unknown_to_products(mute.test, reached, view.catalogue.root, view)
        if why:
            message = f"the mute of {mute.test} has no effect: {why}"
            yield Found(file=mute.source, line=mute.line, message=message)


RULES = (
    warning("OSQ511", "Mute without a ticket", no_ticket),
    error("OSQ512", "Mute has expired", expired),
    warning("OSQ513", "Called muted, but not muted", only_commented),
    warning("OSQ514", "Mute is too wide", too_wide),
    error("OSQ515", "Several -k", repeated_k),
    error("OSQ516", "Unusable test selection", unusable),
    warning("OSQ517", "Mute without effect", without_effect),
)
