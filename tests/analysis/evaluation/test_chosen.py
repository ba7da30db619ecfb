"""Which trial is trained again, and what is said of what its runs do not tell."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mlproject.analysis.evaluation.chosen import (
    ASSUMED,
    ChosenTrial,
    NothingToEvaluate,
    OtherData,
    choose_trial,
)
from mlproject.analysis.evaluation.final_models import final_seeds
from mlproject.data.bars import Bars, load_bars
from mlproject.data.markets import Markets
from mlproject.models.arch_grid import architecture_grid
from mlproject.models.budget import parse_budget
from mlproject.search.search_space import derived_seed
from mlproject.tracking.names import RECOMMENDED_TRIAL_TAG, Metric, Param, TrialState
from mlproject.tracking.trial_run import TrialRun
from mlproject.training.plan import OptimiserName, Precision
from mlproject.training.recipe import RECIPES
from tests.analysis.audit.conftest import study_of, trial_of
from tests.conftest import MakeSettings

GRID = architecture_grid(parse_budget("2M"), 25)
LIVE = {
    "label_price": "high",
    "max_steps": "7",
    "seed": "5",
    "plan.optimiser": "adafactor",
    "plan.precision": "bf16",
}


@pytest.fixture(scope="module")
def bars() -> Bars:
    return load_bars("sp500")


def _choose(
    trials: list[TrialRun],
    bars: Bars,
    make_settings: MakeSettings,
    *,
    losses: Mapping[int, float] | None = None,
    recommended: str | None = None,
    **params: str,
) -> ChosenTrial:
    study = study_of(trials, params=params).tracked
    if recommended is not None:
        study = replace(study, tags={**study.tags, RECOMMENDED_TRIAL_TAG: recommended})
    return choose_trial(study, make_settings(), Markets.of(bars), lambda _run_id: losses or {})


def test_it_is_the_best_complete_trial_with_the_studys_own_settings(
    bars: Bars, make_settings: MakeSettings
) -> None:
    trials = [
        trial_of(GRID.architectures[3], GRID, 0, loss=0.5),
        trial_of(GRID.architectures[40], GRID, 1, loss=0.4),
        trial_of(GRID.architectures[50], GRID, 2, state=TrialState.PRUNED),
        trial_of(GRID.architectures[60], GRID, 3, loss=100.0),
    ]
    chosen = _choose(
        trials,
        bars,
        make_settings,
        losses={1: 0.45, 2: 0.4, 3: 0.4, 4: 0.5},
        data_digest=bars.digest,
        **LIVE,
    )
    assert (chosen.number, chosen.run_id, chosen.best_epoch) == (1, "run1", 2)
    assert chosen.architecture == GRID.architectures[40]
    assert chosen.settings.learning_rate == trials[1].params[Param.LEARNING_RATE]
    assert chosen.settings.epochs == 75
    assert chosen.settings.max_steps == 7
    assert chosen.settings.seed == derived_seed(5, 1)
    assert (chosen.label_price, chosen.study_seed) == ("high", 5)
    assert (chosen.optimiser, chosen.precision) == (OptimiserName.ADAFACTOR, Precision.BF16)
    assert chosen.remarks == ()


def test_it_is_the_trial_that_the_study_recommends_not_the_luckiest(
    bars: Bars, make_settings: MakeSettings
) -> None:
    newest: dict[Param, Any] = {Param.SEARCH_SPACE: 2, Param.WARMUP_STEPS: None}
    trials = [
        trial_of(GRID.architectures[3], GRID, 0, loss=0.5, params=newest),
        trial_of(GRID.architectures[40], GRID, 1, loss=0.4, params=newest),
    ]
    chosen = _choose(trials, bars, make_settings, recommended="0", data_digest=bars.digest)
    assert (chosen.number, chosen.architecture) == (0, GRID.architectures[3])
    assert chosen.settings.recipe == RECIPES[2]
    assert chosen.remarks == (
        "Recommended by the estimate over all trials; the lowest loss is that of trial 1.",
    )
    gone = _choose(trials, bars, make_settings, recommended="7", data_digest=bars.digest)
    assert gone.number == 1


def test_what_a_log_does_not_say_is_assumed_and_said(
    bars: Bars, make_settings: MakeSettings
) -> None:
    missing: dict[Param, Any] = dict.fromkeys((*ASSUMED, Param.ARCH_IDX))
    chosen = _choose(
        [trial_of(GRID.architectures[9], GRID, 0, params=missing)], bars, make_settings
    )
    assert chosen.best_epoch is None
    assert (chosen.settings.epochs, chosen.settings.batch_size) == (100, 256)
    assert (chosen.settings.dropout, chosen.settings.weight_decay) == (0.2, 1e-4)
    assert (chosen.optimiser, chosen.precision, chosen.label_price) == (None, None, "close")
    said = " ".join(chosen.remarks)
    assert "Nothing says which bars" in said
    for assumed in ("epochs 100", "batch_size 256", "weight_decay 0.0001", "warmup_steps 200"):
        assert assumed in said


def test_a_better_trial_of_unknown_architecture_is_passed_over_and_named(
    bars: Bars, make_settings: MakeSettings
) -> None:
    trials = [
        trial_of(GRID.architectures[9], GRID, 4, loss=0.3, params={Param.N_HEADS: None}),
        trial_of(GRID.architectures[8], GRID, 6, loss=0.4),
    ]
    chosen = _choose(trials, bars, make_settings)
    assert chosen.number == 6
    assert "Passed over, since no run proves their architecture: trials 4." in chosen.remarks


def test_a_study_of_other_bars_is_refused(bars: Bars, make_settings: MakeSettings) -> None:
    trials = [trial_of(GRID.architectures[9], GRID, 0)]
    with pytest.raises(OtherData, match=r"was run on mine \(digest abc\), not on arch.*--data"):
        _choose(trials, bars, make_settings, data="mine", data_digest="abc")


def test_a_study_without_a_usable_trial_is_refused(bars: Bars, make_settings: MakeSettings) -> None:
    pruned = trial_of(GRID.architectures[9], GRID, 0, state=TrialState.PRUNED)
    no_rate = trial_of(GRID.architectures[9], GRID, 1, params={Param.LEARNING_RATE: None})
    no_loss = replace(trial_of(GRID.architectures[9], GRID, 2), metrics={Metric.VAL_AUC: 0.6})
    with pytest.raises(NothingToEvaluate, match="has 3 trials, 1 of them complete and none"):
        _choose([pruned, no_rate, no_loss], bars, make_settings)


def test_an_architecture_outside_todays_grid_is_refused(
    bars: Bars, make_settings: MakeSettings
) -> None:
    trial = trial_of(GRID.architectures[9], GRID, 0, params={Param.N_LAYERS: 7})
    with pytest.raises(NothingToEvaluate, match=r"n_layers 7.*no architecture of 2M"):
        _choose([trial], bars, make_settings)


def test_final_seeds_are_no_trials_seeds() -> None:
    seeds = final_seeds(0, 3)
    assert len(set(seeds)) == 3
    assert seeds[:2] == final_seeds(0, 2)
    assert not set(seeds) & {derived_seed(0, number) for number in range(1000)}
    assert not set(seeds) & set(final_seeds(1, 3))
    assert all(0 <= seed < np.iinfo(np.uint32).max for seed in seeds)
