"""Where in a file a command of a script stands, be it a file of its own or inline."""

from typing import Any

from osqual.lint.finding import Found
from osqual.lint.shell import Command, Script
from osqual.lint.view import Leaf, View


def at_command(view: View, leaf: Leaf, script: Script, command: Command, message: str) -> Found:
    """A finding at a command of a configuration's script."""
    inline = script.line == 0
    line = inline_line(view, script, command) if inline else script.line + command.line - 1
    return Found(
        file=script.file, line=line, key=script.key, message=message, configuration=leaf.path
    )


def inline_line(view: View, script: Script, command: Command | None = None) -> int:
    """The line in a template on which an inline script, or one of its commands, stands."""
    index = _provisioner(script)
    path: list[str | int] = ["provisioners", index, "inline"]
    if command is not None:
        path.append(_item_of(view, script, index, command.line))
    return view.json_line(script.file, path)


def _provisioner(script: Script) -> int:
    """The index in the key `provisioners[3].inline`."""
    return int(script.key.partition("[")[2].partition("]")[0])


def _item_of(view: View, script: Script, index: int, line: int) -> int:
    """Which item of `inline` holds a line of the commands (an item may hold several)."""
    template = view.template(script.file)
    items: Any = template.provisioners[index]["inline"] if template is not None else []
    passed = 0
    for number, item in enumerate(items if isinstance(items, list) else []):
        passed += str(item).count("\n") + 1
        if line <= passed:
            return number
    return 0
