"""The map of widths and depths: what it rings, what it colours, what it says."""

import numpy as np
import pandas as pd

from mlproject.analysis.report.shape_map import ShapeMap, shape_map, verdict
from mlproject.analysis.report.shape_map_figure import shape_map_figure

SHAPES = [(64, 48), (128, 12), (192, 6), (256, 3), (384, 2)]


def _trials(*, best: float = 0.0, each: int = 6) -> pd.DataFrame:
    """Trials of five shapes; the third is better by so much."""
    generator = np.random.default_rng(0)
    rows = []
    for width, depth in SHAPES * each:
        gain = best if width == 192 else 0.0
        rows.append(
            {
                "study": "phase6a_2M_h3_threshold_1pct",
                "budget": "2M",
                "budget_parameters": 2_000_000,
                "target": "1 % within 3 days",
                "d_model": width,
                "n_layers": depth,
                "learning_rate": float(10 ** generator.uniform(-4, -3)),
                "loss": 0.57 - gain + generator.normal(0, 0.003),
            }
        )
    return pd.DataFrame(rows)


def _map(trials: pd.DataFrame) -> ShapeMap:
    return shape_map("2M", "1 % within 3 days", trials)


def _cell(of: ShapeMap, width: int, depth: int) -> tuple[int, int]:
    return of.depths.index(depth), of.widths.index(width)


def test_where_no_shape_differs_none_is_ringed_and_it_is_said() -> None:
    found = _map(_trials())
    assert not found.ringed.any()
    said = verdict(found)
    assert "no cell differs from the others (p = 0." in said and "30 trials in 5 cells" in said
    assert "to tell the best from one worse by 0.5% takes about" in said
    tried = found.losses[~np.isnan(found.losses)]
    lowest = found.lowest[~np.isnan(found.lowest)]
    assert np.ptp(tried) < 0.5 * np.ptp(lowest) + 0.002


def test_what_is_ringed_cannot_be_told_from_the_best() -> None:
    found = _map(_trials(best=0.01))
    assert [tuple(each) for each in np.argwhere(found.ringed)] == [_cell(found, 192, 6)]
    assert "the cells differ (p = " in verdict(found) and "1 of 5 cannot be told" in verdict(found)


def test_colours_go_over_no_less_than_a_trials_luck() -> None:
    trials = _trials()
    figure = shape_map_figure(trials)
    axis = figure.interactive.layout.coloraxis1
    assert axis.cmax - axis.cmin >= 0.004
    assert figure.findings == (verdict(_map(trials)),)


def test_a_lucky_trial_does_not_make_its_shape_the_best() -> None:
    trials = _trials(best=0.006)
    lucky = trials.iloc[[0]].assign(d_model=64, n_layers=32, loss=0.5615)
    found = _map(pd.concat([trials, lucky], ignore_index=True))
    assert found.lowest[_cell(found, 64, 32)] == 0.5615
    assert found.losses[_cell(found, 64, 32)] > found.losses[_cell(found, 192, 6)]
