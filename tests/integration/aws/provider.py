"""One AWS provider for all commands of Terraform in a session, by its own way to be debugged.

Each command starts the provider otherwise: seconds of computing, before it does anything.
"""

import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

REATTACH = "TF_REATTACH_PROVIDERS"
LOGS = ("TF_LOG", "TF_LOG_PROVIDER", "TF_LOG_SDK", "TF_LOG_SDK_HELPER_SCHEMA", "TF_LOG_SDK_MUX")
QUIET = dict.fromkeys(LOGS, "ERROR")
"""It would log thousands of lines for each command."""
_SAYS = re.compile(rf"{REATTACH}='(?P<value>.*)'")


@contextmanager
def running_provider(
    program: Path, environment: Mapping[str, str], log: Path
) -> Iterator[dict[str, str]]:
    """Run the provider in an environment that it keeps; what Terraform is to be told of it."""
    with log.open("wb") as errors:
        provider = subprocess.Popen(
            [str(program), "-debug"],
            env={**environment, **QUIET},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
        )
    try:
        assert provider.stdout is not None
        said = next((found for line in provider.stdout if (found := _SAYS.search(line))), None)
        assert said is not None, log.read_text()
        yield {REATTACH: said["value"]}
    finally:
        provider.kill()
        provider.communicate()
