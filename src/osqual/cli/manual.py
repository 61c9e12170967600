"""`osqual manual` and `osqual completion`: what a packager or a user puts into their places."""

import textwrap
from collections.abc import Iterator

import click

from osqual import __version__

SHELLS = ("bash", "zsh", "fish")

# bash puts a blank after the only candidate, also after a directory that is to be gone on from.
# It has `--os=c` as three words, which the option's name, without the sign, makes two.
BASH_ADDED = """
_osqual() {
    local word words=()
    for word in "${COMP_WORDS[@]:0:COMP_CWORD+1}"; do
        [[ $word == = && ${words[-1]} == --* ]] || words+=("$word")
    done
    [[ ${COMP_WORDS[COMP_CWORD]} != = ]] || words+=("")
    local COMP_WORDS=("${words[@]}") COMP_CWORD=$((${#words[@]} - 1))
    _osqual_completion "$1"
    if [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == */ ]]; then compopt -o nospace; fi
}
complete -o nosort -F _osqual osqual
"""

# As click's, but a value after `--os=` leaves that where it is, and no blank follows a directory.
ZSH = """\
#compdef osqual

_osqual() {
    local type key described
    local -a answer plain with_help folders
    (( $+commands[osqual] )) || return 1
    answer=("${(@f)$(env COMP_WORDS="${words[*]}" COMP_CWORD=$((CURRENT-1)) \
_OSQUAL_COMPLETE=zsh_complete osqual)}")
    [[ ${words[CURRENT]} != --*=* ]] || compset -P 1 '*='
    for type key described in $answer; do
        if [[ $type == dir ]]; then
            _path_files -/
        elif [[ $type == file ]]; then
            _path_files -f
        elif [[ $key == */ ]]; then
            folders+=("$key")
        elif [[ $described == _ ]]; then
            plain+=("$key")
        else
            with_help+=("$key:$described")
        fi
    done
    (( ! $#with_help )) || _describe -V unsorted with_help
    (( ! $#folders )) || compadd -V unsorted -S '' -a folders
    (( ! $#plain )) || compadd -V unsorted -a plain
}

if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    _osqual "$@"
else
    compdef _osqual osqual
fi
"""

# As click's, but: whole words are offered for `--os=c`, and a help text may have commas.
FISH = """\
function _osqual_completion
    set -l sign (string match --regex -- '^--[^=]+=' (commandline -t))
    for answer in (env _OSQUAL_COMPLETE=fish_complete COMP_WORDS=(commandline -cp) \
COMP_CWORD=(commandline -t) osqual)
        set -l parts (string split --max 1 -- , $answer)
        switch $parts[1]
            case dir
                __fish_complete_directories $parts[2]
            case file
                __fish_complete_path $parts[2]
            case plain
                echo "$sign$parts[2]"
        end
    end
end

complete --no-files --command osqual --arguments '(_osqual_completion)'
"""

MANUAL_EPILOG = """\b
Examples:
  osqual manual > ~/.local/share/man/man1/osqual.1
  osqual manual | man -l -
"""

COMPLETION_EPILOG = """\b
Examples:
  osqual completion bash > ~/.local/share/bash-completion/completions/osqual
  osqual completion zsh > ~/.zfunc/_osqual
  osqual completion fish > ~/.config/fish/completions/osqual.fish

It completes commands, options, configurations, and the values of dimensions.
"""


@click.command(epilog=COMPLETION_EPILOG)
@click.argument("shell", type=click.Choice(SHELLS))
def completion(*, shell: str) -> None:
    """Print what makes SHELL complete osqual's commands and arguments."""
    from click.shell_completion import BashComplete

    from osqual.cli.main import cli

    if shell == "bash":
        source = BashComplete(cli, {}, "osqual", "_OSQUAL_COMPLETE").source()
        click.echo(source.rstrip("\n") + BASH_ADDED)
    else:
        click.echo({"zsh": ZSH, "fish": FISH}[shell], nl=False)


@click.command(epilog=MANUAL_EPILOG)
def manual() -> None:
    """Print the manual page, as man reads it: every command with its options."""
    from osqual.cli.main import cli

    click.echo("\n".join(manual_lines(cli)))


def manual_lines(group: click.Group) -> Iterator[str]:
    """The page in troff, from the commands themselves."""
    context = click.Context(group, info_name="osqual")
    yield f'.TH OSQUAL 1 "" "osqual {__version__}" "User Commands"'
    yield ".SH NAME"
    yield r"osqual \- qualify a cluster product on operating system images"
    yield ".SH SYNOPSIS"
    yield ".B osqual"
    yield r"\fICOMMAND\fR [\fIOPTION\fR]... [\fIARGUMENT\fR]..."
    yield ".SH DESCRIPTION"
    yield from _paragraphs(group.help or "")
    yield from _paragraphs(group.epilog or "")
    yield ".SH COMMANDS"
    yield from _commands(group, context, "osqual")


def _commands(group: click.Group, context: click.Context, prefix: str) -> Iterator[str]:
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None  # noqa: S101 - it was listed
        inner = click.Context(command, info_name=name, parent=context)
        yield f'.SS "{_plain(f"{prefix} {name}")}"'
        yield from _paragraphs(command.help or "")
        yield from _options(command, inner)
        yield from _paragraphs(command.epilog or "")
        if isinstance(command, click.Group):
            yield from _commands(command, inner, f"{prefix} {name}")


def _options(command: click.Command, context: click.Context) -> Iterator[str]:
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None:
            words, said = record
            yield ".TP"
            yield rf"\fB{_plain(words)}\fR"
            yield _plain(" ".join(said.split()))


def _paragraphs(text: str) -> Iterator[str]:
    r"""Paragraphs of a help text; one that begins with \b keeps its lines."""
    for paragraph in textwrap.dedent(text).strip().split("\n\n"):
        if paragraph.startswith("\b"):
            yield from (".PP", ".nf", *map(_plain, paragraph.splitlines()[1:]), ".fi")
        elif paragraph.strip():
            yield from (".PP", _plain(" ".join(paragraph.split())))


def _plain(text: str) -> str:
    """Text that troff takes for nothing else; characters beyond ASCII by their number."""
    text = text.replace("\\", r"\e").replace("-", r"\-").replace("'", r"\(aq").replace('"', r"\(dq")
    text = "".join(c if c.isascii() else rf"\[u{ord(c):04X}]" for c in text)
    return rf"\&{text}" if text.startswith(".") else text
