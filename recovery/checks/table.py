"""The one table that is validated: a row per trial, with what the checks need worked out."""

from typing import Any

import pandas as pd

from mlproject.models.arch_grid import count_parameters
from mlproject.models.budget import UnknownBudget, parse_budget
from mlproject.tracking.names import REAL_PARAMS, Metric, Param
from recovery.resolve import Params, ResolvedStudy, ResolvedTrial, possible_features

_NUMBERS = tuple(p for p in Param if p not in (Param.BUDGET, Param.TASK))
_DERIVED = (
    "has_architecture",
    "heads_remainder",
    "unexplained_parameters",
    "budget_gap",
    "duration_ms",
    "missing_before",
)
REAL_COLUMNS = (*map(str, REAL_PARAMS), "budget_gap", "best_val_loss", "value")
"""Columns that hold no whole numbers, though a value may be one."""


def trial_table(study: ResolvedStudy) -> pd.DataFrame:
    """One row per trial; numbers that are not known are NaN.

    Beside the values: `row`; `has_architecture`; `heads_remainder` = d_model mod n_heads;
    `value`, what Optuna saw;
    `unexplained_parameters` = parameter count minus what the formula gives; `budget_gap`, the
    distance from the budget as a fraction of it; `duration_ms`; `missing_before`, 1 where no source
    tells of the trial with the number before this one; `contradictions`, their number, and
    `contradiction`, their text.
    """
    rows = [{"row": row, **_row(trial)} for row, trial in enumerate(study.trials)]
    frame = pd.DataFrame(rows)
    # A log that another one repeats is short of the trials that both tell of.
    known = {-1, *frame["trial_number"]}
    frame["missing_before"] = [int(number - 1 not in known) for number in frame["trial_number"]]
    numeric = [*map(str, _NUMBERS), *_DERIVED, "started_ms", "ended_ms", "best_val_loss", "value"]
    return frame.astype(dict.fromkeys(numeric, "float64"))


def _row(trial: ResolvedTrial) -> dict[str, Any]:
    record, params = trial.record, trial.params
    started, ended = record.started_ms, record.ended_ms
    return {
        "study_name": record.study_name,
        "launch": record.launch,
        "trial_number": record.trial_number,
        "state": str(record.state),
        "unfinished": record.unfinished,
        "source": record.source,
        "first_line": record.first_line,
        "last_line": record.last_line,
        "started_ms": started,
        "ended_ms": ended,
        "times_from": str(record.times_from),
        **{str(param): params.get(param) for param in Param},
        "best_val_loss": record.metrics.get(Metric.BEST_VAL_LOSS),
        "value": record.metrics.get(record.objective),
        "has_architecture": Param.D_MODEL in params,
        "heads_remainder": _remainder(params),
        "unexplained_parameters": _unexplained(params),
        "budget_gap": _budget_gap(params),
        "duration_ms": None if started is None or ended is None else ended - started,
        "contradictions": len(record.problems),
        "contradiction": "; ".join(record.problems),
        "why_absent": trial.why_absent or "",
    }


def _remainder(params: Params) -> int | None:
    heads = int(params.get(Param.N_HEADS, 0))
    return int(params[Param.D_MODEL]) % heads if heads and Param.D_MODEL in params else None


def _unexplained(params: Params) -> int | None:
    """0 where the formula gives the parameter count, or could give it with some d_ff and F."""
    shape = (Param.D_MODEL, Param.N_LAYERS, Param.PARAM_COUNT)
    if any(param not in params for param in shape):
        return None
    if Param.D_FF not in params or Param.N_FEATURES not in params:
        return 0 if possible_features(params) else 1
    return int(params[Param.PARAM_COUNT]) - count_parameters(
        d_model=int(params[Param.D_MODEL]),
        n_layers=int(params[Param.N_LAYERS]),
        d_ff=int(params[Param.D_FF]),
        num_features=int(params[Param.N_FEATURES]),
    )


def _budget_gap(params: Params) -> float | None:
    if Param.BUDGET not in params or Param.PARAM_COUNT not in params:
        return None
    try:
        budget = parse_budget(str(params[Param.BUDGET])).parameters
    except UnknownBudget:
        return None
    return abs(int(params[Param.PARAM_COUNT]) - budget) / budget
