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
    match = _SPELLING.fullmatch(text.strip())
    if match:
        number, suffix = match.groups()
        suffix = suffix.lower() if suffix in "kK" else suffix.upper()
        parameters = Fraction(number) * _SCALES[suffix]
        if parameters.denominator == 1 and parameters > 0:
            return Budget(int(parameters))
    raise UnknownBudget(
        f"unknown budget {text!r}: use {', '.join(NAMED_BUDGETS)}, "
        "or any number of parameters such as 750k or 5M"
    )
