"""Text that somebody else wrote, made fit for where it goes.

Names, reasons and values come from old logs, file names and the tags of a shared MLflow store. As
they stand they could move a terminal's cursor, run as a spreadsheet's formula, or load a picture
in a Markdown viewer.
"""

import re
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_MARKUP = re.compile(r"[\\`<\[]")


def for_terminal(text: str) -> str:
    """Without control characters, but for line breaks and tabs."""
    return "".join("\ufffd" if _is_control(sign) else sign for sign in text)


def for_markdown(text: str) -> str:
    """On one line, with nothing that makes a link, a picture, code or HTML of it."""
    return _MARKUP.sub(r"\\\g<0>", " ".join(for_terminal(text).split()))


def for_spreadsheet(table: "pd.DataFrame") -> "pd.DataFrame":
    """The table with an apostrophe before each text that a spreadsheet would take for a formula."""
    return table.map(
        lambda cell: f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell
    )


def _is_control(sign: str) -> bool:
    """Also signs that reverse the direction of text, or that no encoding has."""
    return unicodedata.category(sign).startswith("C") and sign not in "\n\t"
