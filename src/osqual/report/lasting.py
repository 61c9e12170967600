"""A console whose reader may go away while runs go on."""

from rich.console import Console


class LastingConsole(Console):
    """Falls silent when nobody reads it any more.

    Rich's own ends the process then, past every clean-up: machines would be left.
    """

    def on_broken_pipe(self) -> None:
        """See rich.console.Console."""
        self.quiet = True
