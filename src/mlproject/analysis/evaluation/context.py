"""The context of an evaluation: what is settled before the test span is opened.

It holds no result; notes and params tell it beside the results.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mlproject.analysis.evaluation.chosen import ChosenTrial


@dataclass(frozen=True, kw_only=True)
class EvaluationContext:
    """Which trial was trained again and how, and what it is compared with."""

    chosen: ChosenTrial
    epochs: int
    """Of the final training; 0 until the trial's best epoch is known."""
    seeds: Sequence[int]
    """One network is trained with each; the first one's is served."""
    baseline_settings: Mapping[str, str]
    """What each baseline chose, in words, by its name; empty until they are fitted."""
    earlier_evaluations: int
    """Of this study; each has looked at the test span before."""
