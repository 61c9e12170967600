"""The manual page and shell completion, which are made from the commands themselves."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from osqual.cli.main import COMMANDS, main
from osqual.cli.manual import SHELLS, manual_lines
from tests.fixtures.catalogue_small import LEAF, small_catalogue


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    assert ended.value.code == 0
    return capsys.readouterr().out


def test_the_manual_has_every_command_and_option(capsys: pytest.CaptureFixture[str]) -> None:
    page = printed(capsys, "manual")
    for name in COMMANDS:
        assert f'.SS "osqual {name}"'.replace("-", r"\-") in page
    assert r"\-\-log\-format" in page
    assert '.SS "osqual site build"' in page


@pytest.mark.skipif(shutil.which("man") is None, reason="not installed: man")
def test_man_reads_the_page_without_a_warning(
    capsys: pytest.CaptureFixture[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    page = tmp_path_factory.mktemp("man") / "osqual.1"
    page.write_text(printed(capsys, "manual"))
    argv = ["man", "--warnings", "-E", "UTF-8", "-l", str(page)]
    environ = {**os.environ, "MANWIDTH": "100", "LC_ALL": "C.UTF-8", "MANROFFSEQ": ""}
    done = subprocess.run(argv, capture_output=True, text=True, env=environ, check=True)
    assert done.stderr == ""
    assert "qualify a cluster product" in done.stdout
    assert "--dry-run" in done.stdout


@given(st.text(), st.text())
def test_no_help_text_is_a_request_to_the_formatter(text: str, epilog: str) -> None:
    command = click.Command("x", help=text, epilog=epilog)
    lines = "\n".join(manual_lines(click.Group("osqual", commands={"x": command}))).split("\n")
    known = (".TH ", ".SH ", ".SS ", ".B ", ".PP", ".nf", ".fi", ".TP")
    assert all(line.startswith(known) for line in lines if line.startswith((".", "'")))


@pytest.mark.parametrize("shell", SHELLS)
def test_completion_is_printed_for_each_shell(
    capsys: pytest.CaptureFixture[str], shell: str
) -> None:
    assert "_OSQUAL_COMPLETE" in printed(capsys, "completion", shell)


def test_completion_answers_with_commands_and_options() -> None:
    environ = {**os.environ, "_OSQUAL_COMPLETE": "bash_complete", "COMP_CWORD": "1"}
    program = os.path.join(os.path.dirname(sys.executable), "osqual")  # noqa: PTH118, PTH120
    done = subprocess.run(
        [program],
        env={**environ, "COMP_WORDS": "osqual ma"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["plain,matrix", "plain,manual"]


def test_bash_completes_after_a_sign_and_goes_on_below_a_directory(tmp_path: Path) -> None:
    """As bash calls it: `=` is a word of its own there."""
    small_catalogue(tmp_path, LEAF)
    (tmp_path / "osqual.yaml").touch()
    lines = ["find --os c", "find --os =", "find --os = c", "show cen"]
    script = "source <(osqual completion bash)\n" + "".join(
        f"COMP_WORDS=(osqual {line}); COMP_CWORD={len(line.split())}; COMPREPLY=()\n"
        '_osqual osqual; echo "${COMPREPLY[*]}"\n'
        for line in lines
    )
    programs = Path(sys.executable).parent
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        env={**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["centos", "centos", "centos", "centos/"]


# What a person types, and what stands there after the tabulator key.
TYPED = {
    "osqual fin": "osqual find ",
    "osqual find --os c": "osqual find --os centos ",
    "osqual find --os=c": "osqual find --os=centos ",
    "osqual show cen": "osqual show centos/",
}
# A terminal with zsh in it; Ctrl-X writes down what stands on the command line, and clears it.
ZSH = r"""
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell 'show() { print -r -- "$BUFFER" >> seen; BUFFER= }; zle -N show; bindkey "^X" show'
zpty -w shell 'autoload -Uz compinit; compinit -u -D; source <(osqual completion zsh); touch ready'
until [[ -e ready ]]; do zpty -rt shell ignored; sleep 0.1; done
while read -r line; do
    zpty -w -n shell "$line"$'\t\x18'
    until (( $(wc -l < seen) >= ++count )); do zpty -rt shell ignored; ((--count)); sleep 0.1; done
done < typed
"""
FISH = """
source (osqual completion fish | psub)
while read --local line
    complete --do-complete $line | head -n 1 | string replace --regex '\\t.*' ''
end < typed > seen
true
"""


@pytest.mark.parametrize(("shell", "script"), [("zsh", ZSH), ("fish", FISH)])
def test_other_shells_complete_as_bash_does(tmp_path: Path, shell: str, script: str) -> None:
    if shutil.which(shell) is None:
        refuse = pytest.fail if os.environ.get("OSQUAL_TEST_REQUIRE_ALL") else pytest.skip
        refuse(f"not installed: {shell}")
    small_catalogue(tmp_path, LEAF)
    for name, text in {"osqual.yaml": "", "seen": "", "typed": "\n".join([*TYPED, ""])}.items():
        (tmp_path / name).write_text(text)
    programs = Path(sys.executable).parent
    home = {"HOME": str(tmp_path), "ZDOTDIR": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}
    subprocess.run(
        [shell, "-c", script],
        cwd=tmp_path,
        env={**os.environ, **home, "PATH": f"{programs}:{os.environ['PATH']}"},
        check=True,
        capture_output=True,
    )
    seen = (tmp_path / "seen").read_text().splitlines()
    if shell == "zsh":
        assert seen == list(TYPED.values())
    else:  # it offers words, and puts the blanks itself
        assert seen == [line.split()[-1] for line in TYPED.values()]
