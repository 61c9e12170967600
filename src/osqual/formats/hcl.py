"""HashiCorp's configuration language through python-hcl2, which takes half a second to start."""

from typing import Any


class HclSyntaxError(Exception):
    """The text is not HCL; `line` and `column` are 0 where the library does not know them."""

    def __init__(self, message: str, line: int, column: int) -> None:
        super().__init__(message)
        self.line = line
        self.column = column


class HclUnusable(Exception):
    """The library cannot cope with the text; its own words."""


def load_hcl(text: str) -> dict[str, Any]:
    """Attributes and blocks by name, strings without quotes. Raises HclSyntaxError, HclUnusable."""
    import hcl2
    from hcl2.utils import SerializationOptions
    from lark.exceptions import LarkError

    options = SerializationOptions(
        with_comments=False,
        strip_string_quotes=True,
        preserve_heredocs=False,
        preserve_scientific_notation=False,
    )
    try:
        document: dict[str, Any] = hcl2.loads(text, serialization_options=options)
    except LarkError as error:
        line, column = (max(0, getattr(error, name, 0) or 0) for name in ("line", "column"))
        raise HclSyntaxError(str(error), line, column) from error
    except (RecursionError, ValueError, KeyError, RuntimeError, TypeError) as error:
        raise HclUnusable(str(error)) from error
    return document
