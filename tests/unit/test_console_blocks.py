"""How commands and their output are found in pages, and compared."""

import pytest

from tests.console_blocks import commands_in, fenced_lines, matches

PAGE = """\
# Title

```console
$ osqual find --os centos   # which one
ami-1
$ osqual lint \\
>   centos   # exits 1
```

<!-- catalogue: examples -->
1. In a list:

   <!-- not run: starts machines -->
   ```console
   $ osqual run LEAF
   ```

```sh
osqual is not a command here
```
"""


def test_commands_know_their_output_their_exit_code_and_where_they_are_typed() -> None:
    find, lint, run = commands_in(PAGE)
    assert find.words == ["osqual", "find", "--os", "centos"]
    assert (find.line, find.output, find.exit_code) == (4, ("ami-1",), 0)
    assert lint.words == ["osqual", "lint", "centos"]
    assert (lint.output, lint.exit_code, lint.scene) == ((), 1, "dcos-images")
    assert (run.scene, run.not_run) == ("examples", "starts machines")


def test_every_fenced_line_is_known_with_its_kind() -> None:
    kinds = [kind for kind, _ in fenced_lines(PAGE)]
    assert kinds == ["console"] * 4 + ["console", "sh"]


@pytest.mark.parametrize(
    ("shown", "printed", "same"),
    [
        (["a", "b"], "a\nb\n", True),
        (["a"], "a\nb\n", False),
        (["a", "…"], "a\nb\nc\n", True),
        (["a", "…"], "a\n", True),
        (["…", "c"], "a\nb\nc\n", True),
        (["… s  done"], "1.2 s  done\n", True),
        (["a … b"], "a x\ny b\n", False),
        (["a.c"], "abc\n", False),
    ],
)
def test_an_ellipsis_stands_for_what_varies_and_nothing_else_does(
    shown: list[str], printed: str, same: bool
) -> None:
    assert matches(shown, printed) is same
