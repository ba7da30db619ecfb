"""The configurations of smaller studies that a study begins with, as its storage keeps them.

They are chosen once, before its first trial (`mlproject.search.warm_start`).
"""

from collections.abc import Mapping
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


@dataclass(frozen=True, kw_only=True)
class WarmStart:
    """What a study begins with, and what is said of that."""

    carried_over: tuple[CarriedOver, ...] = ()
    """The most promising first."""
    remarks: tuple[str, ...] = ()
    """Why a smaller study of the task was not used, a line each."""

    def as_text(self) -> str:
        """For the terminal and the parent run."""
        sources = ", ".join(each.source for each in self.carried_over)
        return "; ".join((sources or "nothing", *self.remarks))


def keep_warm_start(study: optuna.Study, warm: WarmStart) -> None:
    """Write into the study's storage what it begins with."""
    study.set_user_attr(_WARM_START_ATTR, asdict(warm))


def warm_start_of(study: optuna.Study) -> WarmStart | None:
    """What a study began with; None of studies that began before that was kept."""
    kept = study.user_attrs.get(_WARM_START_ATTR)
    if kept is None:
        return None
    carried_over = tuple(CarriedOver(**each) for each in kept["carried_over"])
    return WarmStart(carried_over=carried_over, remarks=tuple(kept["remarks"]))
