"""The `osqual` command: its table of commands, and the one place that turns errors into exits."""

import gc
import importlib
import os
import sys
from collections.abc import Sequence
from contextlib import suppress

import click

from osqual import __version__
from osqual.errors import ExitCode, OsqualError

# name -> (section, module:attribute, one line). Modules are imported when their command runs, so
# that --help and completion stay fast.
COMMANDS: dict[str, tuple[str, str, str]] = {
    "run": ("Qualify", "run:run", "Qualify configurations: build, boot, install, test, publish."),
    "runs": ("Qualify", "runs:runs", "List runs and their verdicts."),
    "why": ("Qualify", "why:why", "Why tests failed: since when, where else, what changed."),
    "rerun": ("Qualify", "rerun:rerun", "Once more on the image of an earlier run."),
    "report": ("Qualify", "report:report", "One run as text, Markdown, HTML, JSON or JUnit."),
    "diff": ("Qualify", "diff:diff", "What an image holds that its base image does not."),
    "logs": ("Qualify", "logs:logs", "Show what a run did, its output and its consoles."),
    "publish": ("Qualify", "publish:publish", "Publish what a run found, again or later."),
    "ssh": ("Qualify", "ssh:ssh", "Open a shell on a node of a run that was kept."),
    "console": ("Qualify", "console:console", "What a node wrote on its serial console."),
    "debug": ("Qualify", "debug:debug", "Enter a cluster as it was when a test failed."),
    "resume": ("Qualify", "resume:resume", "Go on with runs whose process has died."),
    "cancel": ("Qualify", "cancel:cancel", "Stop a run from another terminal."),
    "resources": ("Qualify", "resources:resources", "What runs have made and not ended yet."),
    "reap": ("Qualify", "reap:reap", "End what died runs left behind."),
    "destroy": ("Qualify", "destroy:destroy", "End everything that a run left behind."),
    "submit": ("Workers", "submit:submit", "Put configurations into the queue of workers."),
    "worker": ("Workers", "worker:worker", "Work on what is in the queue."),
    "queue": ("Workers", "queue:queue", "What waits and what is worked on."),
    "schedule": ("Workers", "schedule:schedule", "Submit configurations again and again."),
    "find": ("Ask", "find:find", "Which image to use."),
    "matrix": ("Ask", "matrix:matrix", "The support matrix."),
    "show": ("Ask", "show:show", "One configuration: inputs, images, last verdict."),
    "site": ("Ask", "site:site", "All of it as pages to look at."),
    "serve": ("Ask", "serve:serve", "The same pages live, with what runs now."),
    "recipes": ("Ask", "recipes:recipes", "Recipes and the configurations that share them."),
    "ancestry": ("Ask", "ancestry:ancestry", "What derives from an image."),
    "history": ("Ask", "history:history", "Every build of a configuration and what changed."),
    "mutes": ("Ask", "mutes:mutes", "Every muted test: where, why, since when."),
    "plan": ("Ask", "plan:plan", "What would run, and why."),
    "images": ("Images", "images:images", "Published images in the cloud: check, clean up, mark."),
    "base": ("Images", "base:base", "Newer base images of the vendors."),
    "iam-policy": ("Images", "iam_policy:iam_policy", "The least that AWS must allow."),
    "derive": ("Change", "derive:derive", "New configurations from existing ones."),
    "lint": ("Tools", "lint:lint", "Check a catalogue, and repair what has one answer."),
    "edit": ("Change", "edit:edit", "Set a key across many configurations."),
    "mute": ("Change", "mute:mute", "Let the failure of a test not count."),
    "unmute": ("Change", "mute:unmute", "Let a test count again."),
    "convert-feed": ("Change", "convert_feed:convert_feed", "A vendor's feed as base images."),
    "init": ("Change", "init:init", "Start a catalogue."),
    "import-mutes": ("Change", "import_mutes:import_mutes", "Turn -k strings into mutes."),
    "promote": ("Change", "promote:promote", "Put qualified images into a channel."),
    "bundle": ("Qualify", "bundle:bundle", "Everything about a run in one archive."),
    "ci": ("Tools", "ci:ci", "Pipelines for GitHub, GitLab and Jenkins."),
    "verify": ("Ask", "verify:verify", "Whether an image is proven to be qualified."),
    "keys": ("Tools", "keys:keys", "Keys that sign what was qualified."),
    "schema": ("Tools", "schema:schema", "JSON Schema of the catalogue's files."),
    "cache": ("Tools", "cache:cache", "Show and prune base images and layers."),
    "completion": ("Tools", "manual:completion", "What makes a shell complete commands."),
    "manual": ("Tools", "manual:manual", "The manual page."),
    "selfcheck": ("Tools", "selfcheck:selfcheck", "Check what osqual itself relies on."),
    "doctor": ("Tools", "doctor:doctor", "Check this machine: programs, acceleration, space."),
}
SECTIONS = ("Qualify", "Workers", "Ask", "Change", "Images", "Tools")


class LazyGroup(click.Group):
    """Commands from the table, imported on use, listed by section."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the table's order."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command's module."""
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][1].partition(":")
        command = getattr(importlib.import_module(f"osqual.cli.{module}"), attribute)
        assert isinstance(command, click.Command)  # noqa: S101 - a mistake in the table above
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Suggest near names for a mistyped command."""
        if args[0] not in COMMANDS and not args[0].startswith("-"):
            import difflib

            near = difflib.get_close_matches(args[0], COMMANDS, n=2)
            hint = f" Did you mean {' or '.join(near)}?" if near else ""
            raise click.UsageError(f"No such command {args[0]!r}.{hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """One table a section."""
        for section in SECTIONS:
            rows = [(name, line) for name, (where, _, line) in COMMANDS.items() if where == section]
            if rows:
                with formatter.section(section):
                    formatter.write_dl(rows)


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Start with `osqual doctor`, then `osqual run LEAF --dry-run`. "
    "Exit codes: 0 qualified or done, 1 rejected, 2 wrong input, 3 inconclusive, "
    "4 clean-up incomplete, 75 another osqual is at work, 130 interrupted.",
)
@click.version_option(__version__, prog_name="osqual")
def cli() -> None:
    """Qualify a cluster product on operating system images.

    For each configuration of a catalogue, osqual builds the image, boots a cluster from it,
    installs the product, runs its tests, and publishes the image ids with the verdict.
    """


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code; a bug is shown as one."""
    # What is read of a large catalogue is many values and no cycles: to look for some after every
    # 700 of them takes a quarter of the time.
    gc.set_threshold(1_000_000, 10, 10)
    try:
        arguments = None if argv is None else list(argv)
        code = cli.main(args=arguments, standalone_mode=False, color=colour())
    except OsqualError as error:
        show_error(error)
        code = error.exit_code
    except click.ClickException as error:
        error.show()
        code = ExitCode.USAGE
    except (KeyboardInterrupt, click.Abort):
        click.echo("Interrupted.", err=True)
        code = ExitCode.INTERRUPTED
    except BrokenPipeError:
        # The reader of our output went away (`osqual runs | head`): not an error of ours.
        give_up_output()
        code = ExitCode.OK
    except Exception:
        import traceback

        click.echo(hide(traceback.format_exc()), err=True, nl=False)
        click.echo(
            f"\nThis is a bug in osqual {__version__}, not a mistake of yours. "
            "Please report it with the lines above.",
            err=True,
        )
        code = ExitCode.INCONCLUSIVE
    sys.exit(int(code or 0))


def hide(text: str) -> str:
    """The text without secrets of the environment."""
    from osqual.secrecy import Secrecy

    return Secrecy(os.environ)(text)


def colour() -> bool | None:
    """Never where NO_COLOR is set; None leaves it to whether this is a terminal."""
    return False if os.environ.get("NO_COLOR") else None


def give_up_output() -> None:
    """Nobody reads standard output any more: what is still to be written goes nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def show_error(error: OsqualError) -> None:
    """Brief in red, then details and what to do, on standard error, if anybody reads it."""
    with suppress(BrokenPipeError):
        echo_error(error)


def echo_error(error: OsqualError) -> None:
    """See show_error; without secrets."""
    from osqual.secrecy import Secrecy

    Secrecy(os.environ).error(error)
    click.secho(f"error: {error.brief}", fg="red", err=True, color=colour())
    if error.details:
        click.echo("\n".join(f"  {line}" for line in error.details.rstrip().splitlines()), err=True)
    if error.resolution:
        click.echo(f"To do: {error.resolution}", err=True)


if __name__ == "__main__":
    main()
