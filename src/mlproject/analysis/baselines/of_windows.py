"""Baselines that see the same windows as the network, given the chances that it had.

Each chooses its one or two settings by the validation loss and is then fitted anew on training and
validation, as the study chose the network. They see what the network's first layer sees: windows
normalised feature by feature. On the raw levels of prices, which leave the range of the training
years, they would be easy to beat.

A flattened window takes 12 kB, so of many markets they see some of the windows at a time.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mlproject.analysis.baselines.baseline import (
    GRADIENT_BOOSTING,
    LOGISTIC_REGRESSION,
    Baseline,
)
from mlproject.analysis.claims.log_losses import log_losses
from mlproject.data.markets import Markets
from mlproject.data.windows import WindowedData, thinned
from mlproject.models.arch_grid import WINDOW_DAYS
from mlproject.models.patchtst import normalise_windows

INVERSE_PENALTIES = tuple(10.0**power for power in range(-6, 1))
"""scikit-learn's `C`. 1500 inputs that go together need far more than its default of 1."""
MAX_LEAF_NODES = (8, 31)
MAX_TREES = 200
TREE_LEARNING_RATE = 0.05
SHARE_OF_INPUTS = 0.1
"""Tried at each split: fifteen hundred inputs that go together are slow and add nothing."""

MAX_FITTED_WINDOWS = 24_000
"""Of a span; more are thinned evenly over the days and markets. So many take 290 MB, of which there
are four at a time at most, and minutes. No market of a century has more."""
_WINDOWS_AT_A_TIME = 4096

Floats = npt.NDArray[np.float64]


def flat_windows(data: WindowedData, ends: torch.Tensor) -> Floats:
    """The windows that end at the rows `ends`, as the baselines see them: (n, days × features)."""
    ends = ends.cpu()
    flat = np.empty((len(ends), WINDOW_DAYS * data.n_features))
    for part, rows in zip(_parts(len(ends)), ends.split(_WINDOWS_AT_A_TIME), strict=True):
        windows, _ = data.gather(rows)
        flat[part] = normalise_windows(windows).flatten(1).numpy()
    return flat


def window_baseline(name: str, settings: str, predict: Callable[[Floats], Floats]) -> Baseline:
    """A baseline whose `predict` takes flattened windows (n, days × features), some at a time."""

    def in_parts(_markets: Markets, data: WindowedData, ends: torch.Tensor) -> Floats:
        found = np.empty(len(ends))
        for part, rows in zip(_parts(len(ends)), ends.split(_WINDOWS_AT_A_TIME), strict=True):
            found[part] = predict(flat_windows(data, rows))
        return found

    return Baseline(name=name, settings=settings, predict=in_parts)


def _parts(count: int) -> list[slice]:
    starts = range(0, count, _WINDOWS_AT_A_TIME)
    return [slice(start, start + _WINDOWS_AT_A_TIME) for start in starts]


def fit_window_baselines(search: WindowedData, final: WindowedData) -> Iterator[Baseline]:
    """Choose each baseline on the spans of `search` and fit it on `final.train`, on the CPU.

    `search` has the training and validation spans of the study, `final.train` is both together;
    neither holds a row of the test span.
    """
    inverse_penalty, (trees, max_leaf_nodes) = _choose(
        _span(search, search.train), _span(search, search.validation)
    )
    span = _span(final, final.train)
    fitted_on = _fitted_on(span, final)
    yield window_baseline(
        LOGISTIC_REGRESSION,
        f"C={inverse_penalty:g}{fitted_on}",
        partial(_rises, _fit_logistic_regression(span, inverse_penalty)),
    )
    yield window_baseline(
        GRADIENT_BOOSTING,
        f"{trees} trees of up to {max_leaf_nodes} leaves{fitted_on}",
        partial(_rises, _fit_gradient_boosting(span, max_leaf_nodes, trees)),
    )


def _fitted_on(span: "_Span", data: WindowedData) -> str:
    """Words for a baseline that did not see all windows."""
    if len(span.labels) == len(data.train):
        return ""
    return (
        f" (chosen and fitted on {len(span.labels):,} of {len(data.train):,} windows, evenly over "
        "the days)"
    )


@dataclass(frozen=True)
class _Span:
    """The flattened windows of a span, and their labels."""

    windows: Floats
    labels: Floats


def _span(data: WindowedData, ends: torch.Tensor) -> _Span:
    kept = torch.from_numpy(thinned(ends.numpy(), data.dates, MAX_FITTED_WINDOWS))
    return _Span(flat_windows(data, kept), data.labels[kept].numpy().astype(np.float64))


def _choose(train: _Span, validation: _Span) -> tuple[float, tuple[int, int]]:
    """The `C` of the logistic regression, and trees and leaves of the gradient boosting."""
    inverse_penalty = min(
        INVERSE_PENALTIES,
        key=lambda c: _loss(
            _rises(_fit_logistic_regression(train, c), validation.windows), validation
        ),
    )
    tried: list[tuple[float, int, int]] = []
    for max_leaf_nodes in MAX_LEAF_NODES:
        model = _fit_gradient_boosting(train, max_leaf_nodes, MAX_TREES)
        for trees, both in enumerate(model.staged_predict_proba(validation.windows), 1):
            tried.append((_loss(both[:, 1], validation), trees, max_leaf_nodes))
    return inverse_penalty, min(tried)[1:]


def _fit_logistic_regression(span: _Span, inverse_penalty: float) -> Any:
    model = make_pipeline(StandardScaler(), LogisticRegression(C=inverse_penalty, max_iter=2000))
    return model.fit(span.windows, span.labels)


def _fit_gradient_boosting(span: _Span, max_leaf_nodes: int, trees: int) -> Any:
    model = HistGradientBoostingClassifier(
        learning_rate=TREE_LEARNING_RATE,
        max_iter=trees,
        max_leaf_nodes=max_leaf_nodes,
        max_features=SHARE_OF_INPUTS,
        early_stopping=False,
        random_state=0,
    )
    return model.fit(span.windows, span.labels)


def _rises(model: Any, windows: Floats) -> Floats:
    """The probabilities of a rise."""
    return np.asarray(model.predict_proba(windows)[:, 1])


def _loss(probabilities: Floats, span: _Span) -> float:
    return float(log_losses(probabilities, span.labels).mean())
