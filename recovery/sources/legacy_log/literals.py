"""Optuna's ``{'learning_rate': 0.00016, 'epochs': 100}`` read without evaluating anything."""

import re

MAX_CHARACTERS = 20_000

_NAME = r"'([A-Za-z0-9_.]{1,100})'"
_NUMBER = r"-?\d{1,30}(?:\.\d{1,30})?(?:[eE][+-]?\d{1,4})?"
_ITEM = re.compile(
    rf"{_NAME}: ({_NUMBER}|nan|inf|-inf|True|False|None|'[^'\\]{{0,200}}')(?:, |$)", re.ASCII
)

Value = int | float | str | bool | None


class NotALiteral(ValueError):
    """The text is not a flat dictionary of plain values."""


def parse_params(text: str) -> dict[str, Value]:
    """Parse the inside of the braces.

    Raises:
        NotALiteral: anything but ``'name': plain value`` pairs, or a name that stands twice.
    """
    if len(text) > MAX_CHARACTERS:
        raise NotALiteral("the parameters are longer than any study's")
    found: dict[str, Value] = {}
    position = 0
    while position < len(text):
        match = _ITEM.match(text, position)
        if match is None or match[1] in found:
            raise NotALiteral("the parameters cannot be read")
        found[match[1]] = _value(match[2])
        position = match.end()
    if text.endswith(", "):
        raise NotALiteral("the parameters are cut off")
    return found


def _value(text: str) -> Value:
    if text.startswith("'"):
        return text[1:-1]
    if text in ("True", "False", "None"):
        return {"True": True, "False": False, "None": None}[text]
    value = int(text) if text.lstrip("-").isdigit() else float(text)
    if repr(value) != text:
        raise NotALiteral(f"Python writes no number as {text}")
    return value
