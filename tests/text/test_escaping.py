"""Text from outside is harmless in a terminal, in Markdown and in a spreadsheet."""

import pandas as pd
import pytest

from mlproject.text.escaping import for_markdown, for_spreadsheet, for_terminal


@pytest.mark.parametrize(
    "hostile", ["\x1b]0;owned\x07", "\x1b[2J", "\x9b2J", "a\rb", "\u202egnp.exe", "\udcff"]
)
def test_a_terminal_gets_no_control_characters(hostile: str) -> None:
    shown = for_terminal(hostile)
    assert not any(sign in shown for sign in "\x1b\x07\x9b\r\u202e\udcff")
    shown.encode()  # a file name that is no text can be printed too


def test_plain_text_stays_as_it_is() -> None:
    text = "trial 7: ✗ d_model=64, 1 % → größer\n\t2 × n_layers"
    assert for_terminal(text) == text
    assert for_markdown("d_model 64 (1.5 %), n_layers_16") == "d_model 64 (1.5 %), n_layers_16"


def test_markdown_gets_no_link_picture_or_html() -> None:
    shown = for_markdown("![x](http://e/x.png) <img src=x> `a`\n# head")
    assert shown == r"!\[x](http://e/x.png) \<img src=x> \`a\` # head"


def test_a_spreadsheet_gets_no_formula() -> None:
    table = pd.DataFrame({"text": ["=1+1", "@SUM(A1)", "-x", "a=b"], "number": [-1.5, 0, 1, 2]})
    safe = for_spreadsheet(table)
    assert list(safe["text"]) == ["'=1+1", "'@SUM(A1)", "'-x", "a=b"]
    assert list(safe["number"]) == [-1.5, 0, 1, 2]
