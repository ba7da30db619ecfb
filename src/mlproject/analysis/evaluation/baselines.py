"""The baselines: simple predictors of the same windows, given the chances that the network had.

Each chooses its one or two settings by the validation loss and is then fitted anew on training and
validation, as the study chose the network. They see what the network's first layer sees: windows
normalised feature by feature. On the raw levels of prices, which leave the range of the training
years, they would be easy to beat.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mlproject.analysis.evaluation.scores import log_losses
from mlproject.data.windows import WindowedData
from mlproject.models.patchtst import normalise_windows

PRIOR = "prior"
LOGISTIC_REGRESSION = "logistic_regression"
GRADIENT_BOOSTING = "gradient_boosting"
TITLES = {
    PRIOR: "prior",
    LOGISTIC_REGRESSION: "logistic regression",
    GRADIENT_BOOSTING: "gradient boosting",
}

INVERSE_PENALTIES = tuple(10.0**power for power in range(-6, 1))
"""scikit-learn's `C`. 1500 inputs that go together need far more than its default of 1."""
MAX_LEAF_NODES = (8, 31)
MAX_TREES = 200
TREE_LEARNING_RATE = 0.05
SHARE_OF_INPUTS = 0.1
"""Tried at each split: fifteen hundred inputs that go together are slow and add nothing."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Baseline:
    """A baseline that is fitted and can predict."""

    name: str
    settings: str
    """What was chosen, in words."""
    predict: Callable[[Floats], Floats]
    """Flattened windows (n, days × features) to probabilities (n,)."""


def flat_windows(data: WindowedData, ends: torch.Tensor) -> Floats:
    """The windows that end at the rows `ends`, as the baselines see them: (n, days × features)."""
    windows, _ = data.gather(ends.cpu())
    return normalise_windows(windows).flatten(1).numpy().astype(np.float64)


def fit_baselines(search: WindowedData, final: WindowedData) -> Iterator[Baseline]:
    """Choose each baseline on the spans of `search` and fit it on `final.train`, on the CPU.

    `search` has the training and validation spans of the study, `final.train` is both together;
    neither holds a row of the test span.
    """
    rate = final.base_rate
    yield Baseline(
        name=PRIOR,
        settings=f"always {rate:.3f}, the share of rises in training and validation",
        predict=lambda windows: np.full(len(windows), rate),
    )
    spans = _Spans(
        train=_span(search, search.train),
        validation=_span(search, search.validation),
        final=_span(final, final.train),
    )
    yield _logistic_regression(spans)
    yield _gradient_boosting(spans)


@dataclass(frozen=True)
class _Span:
    """The flattened windows of a span, and their labels."""

    windows: Floats
    labels: Floats


@dataclass(frozen=True, kw_only=True)
class _Spans:
    """The spans on which a baseline is chosen, and the one on which it is fitted in the end."""

    train: _Span
    validation: _Span
    final: _Span


def _span(data: WindowedData, ends: torch.Tensor) -> _Span:
    return _Span(flat_windows(data, ends), data.labels[ends].numpy().astype(np.float64))


def _logistic_regression(spans: _Spans) -> Baseline:
    def fit(span: _Span, inverse_penalty: float) -> Any:
        model = make_pipeline(
            StandardScaler(), LogisticRegression(C=inverse_penalty, max_iter=2000)
        )
        return model.fit(span.windows, span.labels)

    best = min(
        INVERSE_PENALTIES,
        key=lambda c: _loss(_rises(fit(spans.train, c), spans.validation), spans.validation),
    )
    fitted = fit(spans.final, best)
    return Baseline(
        name=LOGISTIC_REGRESSION,
        settings=f"C={best:g}",
        predict=lambda windows: fitted.predict_proba(windows)[:, 1],
    )


def _gradient_boosting(spans: _Spans) -> Baseline:
    def fit(span: _Span, max_leaf_nodes: int, trees: int) -> Any:
        model = HistGradientBoostingClassifier(
            learning_rate=TREE_LEARNING_RATE,
            max_iter=trees,
            max_leaf_nodes=max_leaf_nodes,
            max_features=SHARE_OF_INPUTS,
            early_stopping=False,
            random_state=0,
        )
        return model.fit(span.windows, span.labels)

    tried: list[tuple[float, int, int]] = []
    for max_leaf_nodes in MAX_LEAF_NODES:
        model = fit(spans.train, max_leaf_nodes, MAX_TREES)
        for trees, both in enumerate(model.staged_predict_proba(spans.validation.windows), 1):
            tried.append((_loss(both[:, 1], spans.validation), trees, max_leaf_nodes))
    _, trees, max_leaf_nodes = min(tried)
    fitted = fit(spans.final, max_leaf_nodes, trees)
    return Baseline(
        name=GRADIENT_BOOSTING,
        settings=f"{trees} trees of up to {max_leaf_nodes} leaves",
        predict=lambda windows: fitted.predict_proba(windows)[:, 1],
    )


def _rises(model: Any, span: _Span) -> Floats:
    """The probabilities of a rise."""
    return model.predict_proba(span.windows)[:, 1]


def _loss(probabilities: Floats, span: _Span) -> float:
    return float(log_losses(probabilities, span.labels).mean())
