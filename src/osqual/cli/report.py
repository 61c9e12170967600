"""`osqual report`: one run to read, to send, or to hand to another program."""

from pathlib import Path

import click

from osqual.cli.common import current_settings

FORMATS = ("text", "markdown", "html", "json", "junit")

EPILOG = """\b
Examples:
  osqual report latest
  osqual report latest --format html --output run.html
  osqual report 20260102-030405-ab12cd --format junit > results.xml

The HTML report is one file without scripts: it can be mailed or attached. In
JUnit the verdict is a test case of its own, which only `qualified` passes.
"""


@click.command(epilog=EPILOG)
@click.argument("name", metavar="RUN", default="latest")
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    default="text",
    show_default=True,
    help="How it is written.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write a file instead of printing.",
)
def report(*, name: str, form: str, output: Path | None) -> None:
    """Verdict, steps, suites, failing tests with their output, images and consoles of a run.

    RUN is a run's id, a part of it that fits no other, or `latest`. Only the store and the run
    directory are read, so this works while another osqual runs.
    """
    from osqual.errors import UsageError
    from osqual.report.runs import run_document
    from osqual.store.store import open_store

    store = open_store(current_settings())
    try:
        text = render(run_document(store, store.run(name)), form).rstrip("\n")
    finally:
        store.close()
    if output is None:
        click.echo(text)
    else:
        try:
            output.write_text(f"{text}\n", encoding="utf-8")
        except OSError as error:
            raise UsageError(f"{output} cannot be written.", details=str(error)) from error
        click.echo(f"Written: {output}", err=True)


def render(document: dict[str, object], form: str) -> str:
    """The run in one of the formats."""
    if form == "json":
        import json

        return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    if form == "text":
        from osqual.report.plain import plain_text
        from osqual.report.runs import run_lines

        return plain_text("\n".join(run_lines(document))) + "\n"
    from osqual.report import render as formats
    from osqual.report.run_report import read_report

    renderers = {
        "markdown": formats.render_markdown,
        "html": formats.render_html,
        "junit": formats.render_junit,
    }
    return renderers[form](read_report(document))
