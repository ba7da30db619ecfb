"""A parameter budget: how many parameters a model may have, and under which name."""

import re
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from mlproject.errors import UserError

NAMED_BUDGETS = ("2M", "20M", "200M", "2B")
TOLERANCE = Fraction(1, 4)
"""A model fits a budget when its parameter count is within this fraction of it."""

_SCALES = {"": 1, "k": 10**3, "M": 10**6, "B": 10**9}
_SPELLING = re.compile(r"(\d{1,15}(?:\.\d{1,9})?)\s*([kKmMbB]?)", re.ASCII)
_BEGINS_LIKE_ONE = re.compile(r"\W{0,3}(\d{1,15}(?:\.\d{1,9})?)\s{0,3}([^\W\d])", re.ASCII)


class UnknownBudget(UserError):
    """A budget that cannot be read, or that no architecture of the grid fits."""


@dataclass(frozen=True, order=True)
class Budget:
    """A budget: the number of parameters that a model should have, ± `TOLERANCE`."""

    parameters: int

    @property
    def name(self) -> str:
        """The one spelling used in names of studies: the shortest exact one, such as ``2M``."""
        for suffix in ("B", "M", "k"):
            scale = _SCALES[suffix]
            if self.parameters >= scale and self.parameters * 1000 % scale == 0:
                return f"{Decimal(self.parameters) / scale:f}{suffix}"
        return str(self.parameters)

    def fits(self, param_count: int) -> bool:
        """Whether a model of `param_count` parameters is within the tolerance."""
        return abs(param_count - self.parameters) <= TOLERANCE * self.parameters


def parse_budget(text: str) -> Budget:
    """The budget of ``2M``, ``750k``, ``1.5B`` or a plain count, in upper or lower case.

    Raises:
        UnknownBudget: the text is not a positive whole number of parameters.
    """
    budget = _read(text)
    if budget is None:
        nearest = [each.name for each in _nearest(text)]
        raise UnknownBudget(
            f"unknown budget {text!r}: use {', '.join(NAMED_BUDGETS)}, "
            "or any number of parameters such as 750k or 5M"
            + (f"; did you mean {' or '.join(nearest)}?" if nearest else "")
        )
    return budget


def _read(text: str) -> Budget | None:
    match = _SPELLING.fullmatch(text.strip())
    if match is None:
        return None
    number, suffix = match.groups()
    suffix = suffix.lower() if suffix in "kK" else suffix.upper()
    parameters = Fraction(number) * _SCALES[suffix]
    if parameters.denominator != 1 or parameters <= 0:
        return None
    return Budget(int(parameters))


def _nearest(text: str) -> list[Budget]:
    """The budgets that may be meant: ``2M`` by ``2 million``, and ``2M`` or ``2B`` by ``2X``."""
    match = _BEGINS_LIKE_ONE.match(text)
    if match is None:
        return []
    number, letter = match.groups()
    suffixes = letter if letter in "kKmMbB" else "MB"
    return [budget for suffix in suffixes if (budget := _read(f"{number}{suffix}")) is not None]
