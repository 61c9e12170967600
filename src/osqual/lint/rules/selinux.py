"""OSQ306: the SELinux mode that scripts set against the variant in the directory's name."""

import re
from collections.abc import Iterator, Mapping

from osqual.lint.finding import Found, error
from osqual.lint.places import at_command
from osqual.lint.shell import Command, Script
from osqual.lint.view import Leaf, View

_MODES = ("enforcing", "permissive", "disabled")
_SELINUX_SETTING = re.compile(rf"SELINUX=(?P<mode>{'|'.join(_MODES)})\b")
_SETENFORCE = re.compile(r"(?:^|[\s;&|])setenforce\s+(?P<mode>[01]|[Ee]nforcing|[Pp]ermissive)\b")
_NOW: Mapping[str, str] = {"0": "permissive", "1": "enforcing"}


def wrong_selinux(view: View) -> Iterator[Found]:
    """SELinux modes that are not the variant's."""
    aliases = view.catalogue.conventions.aliases.get("variant", {})
    for leaf in view.leaves:
        variant = leaf.dimensions.get("variant", "")
        named = aliases.get(variant, variant)
        if not named.startswith("selinux"):
            continue
        wanted = next((mode for mode in _MODES if named.endswith(mode)), "")
        found = _selinux_mode(view, leaf) if wanted else None
        if found is None:
            continue
        script, command, mode = found
        if mode != wanted:
            message = f"leaves SELinux {mode}, but the directory says {variant}"
            yield at_command(view, leaf, script, command, message)


def _selinux_mode(view: View, leaf: Leaf) -> tuple[Script, Command, str] | None:
    """The mode after the next boot, or else the one now; None when no script sets it."""
    lasting = now = None
    for script in view.scripts(leaf):
        if "SELINUX" not in script.text and "setenforce" not in script.text:
            continue
        for command in script.commands:
            settings = list(_SELINUX_SETTING.finditer(script.expand(command.text)))
            if settings:  # of `s/SELINUX=enforcing/SELINUX=permissive/` the last is what remains
                lasting = (script, command, settings[-1]["mode"])
            enforced = None if command.body else _SETENFORCE.search(command.text)
            if enforced is not None:
                mode = enforced["mode"].lower()
                now = (script, command, _NOW.get(mode, mode))
    return lasting or now


RULES = (error("OSQ306", "SELinux mode is not the variant's", wrong_selinux),)
