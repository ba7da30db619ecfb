"""The table of the best of each budget and horizon.

How it is written down stands in `best_tables`.
"""

import math
from collections.abc import Hashable, Mapping
from typing import Any

import pandas as pd

from mlproject.analysis.claims.cell_estimates import CONFIDENCE
from mlproject.analysis.dimensions import DIMENSIONS
from mlproject.analysis.recommended import Recommendation
from mlproject.analysis.report.shapes import shape_estimates
from mlproject.search.estimates import INTERVAL
from mlproject.tracking.names import Origin, Param

BY_ESTIMATE = "estimate"
BY_LOSS = "lowest loss"

_OF_STUDY = (
    *("study", "budget", "budget_parameters", "horizon_days", "task", "target", "prior_loss"),
    *("val_loss_adjusted", "skill_adjusted", "verdict_prior", "verdict_baselines"),
)
_OF_TRIAL = ("number", "origin", "run_id", *DIMENSIONS, "param_count", "learning_rate")


def best_architectures(
    frame: pd.DataFrame, recommended: Mapping[str, Recommendation]
) -> pd.DataFrame:
    """The architecture that each study recommends, and its luckiest trial beside it.

    `chosen_by` says by what it is chosen. By the `estimate` of the study itself: the expected loss
    over seeds, the interval of probability `confidence`, the probability that no other architecture
    is better, and how many of the `tried` ones cannot be told from it. Of a study whose runs tell
    of no estimate, as where logs alone are known, it is the architecture of the `lowest loss`, with
    what trials of its width, depth and learning rate may be expected to have; `among_best` and
    `tried` are then pairs of width and depth.

    `loss` and `skill` are the luckiest trial's. It was also chosen by these days: the study's own
    `val_loss_adjusted` and `skill_adjusted` are of what is chosen by some days and tried on others.
    """
    rows = []
    for study, trials in frame.groupby("study", sort=False):
        luckiest = trials.nsmallest(1, "loss").to_dict("records")[0]
        found = recommended.get(str(study))
        chosen = _by_loss(trials, luckiest) if found is None else _by_estimate(found)
        rows.append(
            {
                **{name: luckiest[name] for name in _OF_STUDY},
                "trials": len(trials),
                **chosen,
                "luckiest": luckiest["number"],
                "luckiest_run_id": luckiest["run_id"],
                "luckiest_architecture": f"{luckiest['d_model']} x {luckiest['n_layers']}, "
                f"{luckiest['n_heads']} heads, d_ff {luckiest['d_ff']}",
                "loss": luckiest["loss"],
                "skill": 1 - luckiest["loss"] / luckiest["prior_loss"],
            }
        )
    order = ["horizon_days", "task", "budget_parameters", "study"]
    return pd.DataFrame(rows).astype({"tried": "Int64"}).sort_values(order, ignore_index=True)


def _by_estimate(found: Recommendation) -> dict[str, object]:
    """The architecture that a study recommends."""
    trial, params = found.trial.trial, found.trial.trial.params
    return {
        "chosen_by": BY_ESTIMATE,
        "number": trial.trial_number,
        "origin": Origin.LIVE.value,
        "run_id": found.trial.run_id,
        **{str(name): int(params[name]) for name in DIMENSIONS},
        "param_count": int(params.get(Param.PARAM_COUNT, 0)),
        "learning_rate": float(params.get(Param.LEARNING_RATE, math.nan)),
        "expected_loss": found.val_loss,
        "expected_low": found.low,
        "expected_high": found.high,
        "confidence": INTERVAL,
        "probability_best": found.probability_best,
        "among_best": found.among_best,
        "tried": None if found.architectures is None else len(found.architectures),
    }


def _by_loss(trials: pd.DataFrame, luckiest: Mapping[Hashable, Any]) -> dict[str, object]:
    """The architecture of the luckiest trial; what is not known of it is NaN."""
    estimates = shape_estimates(trials)
    place = int(trials["loss"].to_numpy().argmin())
    expected = float(estimates.of_trials.losses[place])
    reach = estimates.reach * float(estimates.of_trials.errors[place])
    return {
        "chosen_by": BY_LOSS,
        **{str(name): luckiest[name] for name in _OF_TRIAL},
        "expected_loss": expected,
        "expected_low": expected - reach,
        "expected_high": expected + reach,
        "confidence": CONFIDENCE,
        "probability_best": math.nan,
        "among_best": int(estimates.among_best.sum()),
        "tried": len(estimates.cells),
    }
