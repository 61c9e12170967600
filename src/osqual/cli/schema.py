"""`osqual schema`: JSON Schema of the files that people write or osqual publishes."""

import click

from osqual.cli.common import print_json

EPILOG = """\b
Examples:
  osqual schema --list
  osqual schema osqual > .schemas/osqual.json
  osqual schema publish-and-test
  osqual schema qualification

In an editor with the YAML language server, name the schema in the file's
first line:  # yaml-language-server: $schema=.schemas/osqual.json
"""


@click.command(epilog=EPILOG)
@click.argument("name", required=False, shell_complete=lambda *args: _complete(args[2]))
@click.option("--list", "listing", is_flag=True, help="List the names and the file of each.")
def schema(*, name: str | None, listing: bool) -> None:
    """Print the JSON Schema of one kind of file: what people write, and the published record."""
    from osqual.cli.tables import print_table
    from osqual.errors import UsageError
    from osqual.schemas import SCHEMAS, schema_of

    if listing:
        print_table(("name", "file"), sorted((key, file) for key, (file, _) in SCHEMAS.items()))
    elif name is not None and name in SCHEMAS:
        print_json(schema_of(name))
    else:
        raise UsageError(
            f"There is no schema {name!r}." if name else "Which schema?",
            resolution=f"choose from {', '.join(sorted(SCHEMAS))}",
        )


def _complete(incomplete: str) -> list[str]:
    from osqual.schemas import SCHEMAS

    return [name for name in sorted(SCHEMAS) if name.startswith(incomplete)]
