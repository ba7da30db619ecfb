"""The configurations of smaller studies that a study begins with, as its storage keeps them.

They are chosen once, before its first trial (`mlproject.search.warm_start`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import optuna

_WARM_START_ATTR = "warm_start"
"""The user attribute of a study."""


@dataclass(frozen=True, kw_only=True)
class CarriedOver:
    """A configuration of a smaller study, as near as this study's grid and ranges come to it."""

    source: str
    """Such as ``trial 12 of phase6a_2M_h3_threshold_1pct``."""
    params: Mapping[str, Any]


def keep_carried_over(study: optuna.Study, carried_over: Sequence[CarriedOver]) -> None:
    """Write into the study's storage what it begins with."""
    study.set_user_attr(_WARM_START_ATTR, [asdict(each) for each in carried_over])


def carried_over_to(study: optuna.Study) -> tuple[CarriedOver, ...]:
    """What a study began with, the most promising first; of studies without, nothing."""
    return tuple(CarriedOver(**each) for each in study.user_attrs.get(_WARM_START_ATTR, ()))
