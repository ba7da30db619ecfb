"""The prior and a trial are scored on the same windows, whatever a study was asked for."""

from dataclasses import replace
from pathlib import Path

import optuna
import pytest

from mlproject.data.bars import load_bars
from mlproject.data.windows import build_windows
from mlproject.experiments.objective import Objective
from mlproject.experiments.trial_context import Placement, TrialContext
from mlproject.tracking.names import IDENTITY_ATTR, METRICS_ATTR, Metric
from mlproject.training import train as training
from mlproject.training.device import select_device
from mlproject.training.plan import FP32_ADAMW


@pytest.mark.parametrize("validation", ["spread", "earliest"])
@pytest.mark.parametrize(("horizon_days", "max_steps"), [(3, 0), (3, 1), (20, 2)])
def test_a_network_that_knows_the_base_rate_alone_has_no_skill(
    horizon_days: int,
    max_steps: int,
    validation: str,
    make_space,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    space = make_space(
        "100k",
        horizon_days=horizon_days,
        max_steps=max_steps,
        max_epochs=1,
        validation=validation,
        batch_size=64,
    )
    settings = space.settings
    data = build_windows(
        load_bars("sp500"),
        horizon_days=horizon_days,
        task=settings.task,
        validation_thinning=settings.validation_thinning,
    )
    if max_steps:
        assert len(data.validation) == max_steps * 64
        span = data.dates[data.validation.numpy()]
        days = int((span.max() - span.min()).astype(int))
        assert days > 900 if validation == "spread" else days < 400
    # A step that moves nothing: the network stays what it begins as.
    still = training.train
    monkeypatch.setattr(
        "mlproject.experiments.objective.train",
        lambda architecture, data, given, *rest, **kept: still(
            architecture,
            replace(data, train=data.train[:64]),
            replace(given, learning_rate=1e-30, weight_decay=0.0),
            *rest,
            **kept,
        ),
    )
    context = TrialContext(space=space, plan=FP32_ADAMW, data=data, checkpoints=tmp_path)
    objective = context.objective(Placement(devices=(select_device("cpu"),)), lambda _: _Nobody())
    assert isinstance(objective, Objective)
    study = optuna.create_study()
    study.set_user_attr(IDENTITY_ATTR, {})
    study.optimize(objective, n_trials=1)
    metrics = study.trials[0].user_attrs[METRICS_ATTR]
    assert metrics[Metric.SKILL] == pytest.approx(0, abs=1e-6)


class _Nobody:
    def add(self, losses: object) -> None:
        pass

    def add_step(self, step: int, steps: int) -> None:
        pass
