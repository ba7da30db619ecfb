"""The map of widths and depths: what it rings, what it colours, what it says."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd

from mlproject.analysis.recommended import Recommendation
from mlproject.analysis.report.shape_map import ShapeMap, shape_map, verdict
from mlproject.analysis.report.shape_map_figure import shape_map_figure
from mlproject.models.arch_grid import architecture_grid
from mlproject.models.budget import parse_budget
from tests.analysis.audit.conftest import tracked, trial_of

GRID = architecture_grid(parse_budget("2M"), 25)
STUDY = "phase6a_2M_h3_threshold_1pct"
NONE: Mapping[str, Recommendation] = {}
SHAPES = [(64, 48), (128, 12), (192, 6), (256, 3), (384, 2)]


def _trials(*, best: float = 0.0, each: int = 6) -> pd.DataFrame:
    """Trials of five shapes; the third is better by so much."""
    generator = np.random.default_rng(0)
    rows = []
    for width, depth in SHAPES * each:
        gain = best if width == 192 else 0.0
        rows.append(
            {
                "study": STUDY,
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


def _map(trials: pd.DataFrame, recommended: Mapping[str, Recommendation] = NONE) -> ShapeMap:
    return shape_map("2M", "1 % within 3 days", trials, recommended)


def _recommended(*among_best: tuple[int, int]) -> dict[str, Recommendation]:
    """What the study says of its architectures: the better, the earlier they stand in `SHAPES`."""
    table = pd.DataFrame(
        {
            "d_model": width,
            "n_layers": depth,
            "trial": place,
            "val_loss": 0.56 + place / 1000,
            "among_best": (width, depth) in among_best,
        }
        for place, (width, depth) in enumerate(SHAPES)
    )
    trial = trial_of(GRID.architectures[0], GRID, 0)
    return {
        STUDY: Recommendation(
            trial=tracked(trial),
            val_loss=0.56,
            low=0.55,
            high=0.57,
            probability_best=0.4,
            among_best=len(among_best),
            architectures=table,
        )
    }


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
    figure = shape_map_figure(trials, {})
    axis = figure.interactive.layout.coloraxis1
    assert axis.cmax - axis.cmin >= 0.004
    assert figure.findings == (verdict(_map(trials)),)


def test_a_lucky_trial_does_not_make_its_shape_the_best() -> None:
    trials = _trials(best=0.006)
    lucky = trials.iloc[[0]].assign(d_model=64, n_layers=32, loss=0.5615)
    found = _map(pd.concat([trials, lucky], ignore_index=True))
    assert found.lowest[_cell(found, 64, 32)] == 0.5615
    assert found.losses[_cell(found, 64, 32)] > found.losses[_cell(found, 192, 6)]


def test_the_studys_own_estimates_colour_and_ring_the_map() -> None:
    """The trials say that the third shape is the best, the study's estimate another two."""
    found = _map(_trials(best=0.01), _recommended(SHAPES[0], SHAPES[3]))
    ringed = {tuple(each) for each in np.argwhere(found.ringed)}
    assert ringed == {_cell(found, *SHAPES[0]), _cell(found, *SHAPES[3])}
    assert found.recommended == _cell(found, *SHAPES[0])
    assert [found.losses[_cell(found, *shape)] for shape in SHAPES] == [
        0.56 + place / 1000 for place in range(len(SHAPES))
    ]
    said = verdict(found)
    assert "from the recommended one: 2 of 5, ringed (30 trials in 5 cells)." in said
    assert "The means of all trials differ from cell to cell (p = " in said
    figure = shape_map_figure(_trials(best=0.01), _recommended(SHAPES[0], SHAPES[3]))
    assert len(figure.interactive.layout.shapes) == 2


def test_where_no_architecture_can_be_told_from_the_recommended_none_is_ringed() -> None:
    found = _map(_trials(), _recommended(*SHAPES))
    assert not found.ringed.any()
    assert "from the recommended one: all 5, so none is ringed" in verdict(found)
    assert "By the means of all trials no cell differs from the others (p = " in verdict(found)


def test_without_a_fitting_estimate_it_says_what_is_used_instead() -> None:
    trials = _trials()
    lucky = trials.iloc[[0]].assign(d_model=64, n_layers=32)
    more = pd.concat([trials, lucky], ignore_index=True)
    found = _map(more, _recommended(SHAPES[0]))
    assert found.recommended is None
    assert "means of trials, since the study's estimate leaves out 1 cell." in verdict(found)
    shared = pd.concat([trials, trials.assign(study="another")], ignore_index=True)
    assert "since 2 studies share the map." in verdict(_map(shared, _recommended(SHAPES[0])))
    assert "since the study's run holds no estimate." in verdict(_map(trials))
    no_table = {STUDY: replace(_recommended(SHAPES[0])[STUDY], architectures=None)}
    assert "since the study's run gives no architectures.csv" in verdict(_map(trials, no_table))
