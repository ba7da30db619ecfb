"""Tables that a person reads, in the terminal and in Markdown.

The cells are texts already; what they say, and which of them there are, is the caller's.
"""

from collections.abc import Iterable, Sequence

from mlproject.text.escaping import for_markdown


def aligned_lines(rows: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a table for the terminal: the first column to the left, others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if index == 0 else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ).rstrip()
        for cells in rows
    ]


def markdown_lines(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """The lines of a table in Markdown, its cells escaped."""
    all_rows = [head, ["---"] * len(head), *rows]
    return [f"| {' | '.join(map(markdown_cell, cells))} |" for cells in all_rows]


def markdown_cell(text: str) -> str:
    """The text escaped, and on one line: it ends no cell and no heading."""
    return for_markdown(text).replace("|", "\\|")
