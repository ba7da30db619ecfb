"""Cells of a few trials each: luck is taken off, and what differs is found where something does."""

import numpy as np
import pandas as pd
import pytest

from mlproject.analysis.claims.cell_estimates import CellEstimates, cell_estimates

SEED_SD = 0.003
REPEATS = 100


class _Drawn:
    """Trials of a study that a sampler spread unevenly, with losses of known expectation."""

    def __init__(
        self, generator: np.random.Generator, *, cell_sd: float, trials: int = 50, cells: int = 25
    ) -> None:
        shares = generator.dirichlet(np.full(cells, 0.5))
        self.cells = generator.choice(cells, trials, p=shares)
        rates = generator.uniform(-1.7, 1.7, trials)
        of_cells = generator.normal(0, cell_sd, cells)
        self.expected = 0.57 + 0.001 * rates + 0.0015 * rates**2 + of_cells[self.cells]
        luck = 0.7 * generator.normal(size=trials) + generator.exponential(size=trials) - 1
        self.losses = self.expected + SEED_SD * luck
        terms = np.column_stack([np.ones(trials), rates, rates**2])
        self.estimates = cell_estimates(pd.Series(self.cells), self.losses, terms)
        self.best_cell = min(self.estimates.cells, key=lambda cell: of_cells[cell])


def _drawn(cell_sd: float) -> list[_Drawn]:
    generator = np.random.default_rng(0)
    return [_Drawn(generator, cell_sd=cell_sd) for _ in range(REPEATS)]


def test_where_no_cell_differs_none_is_said_to() -> None:
    drawn = _drawn(0.0)
    assert sum(each.estimates.differ for each in drawn) <= 11
    spread = np.mean([np.ptp(each.estimates.of_cells.losses) for each in drawn])
    assert spread < 0.6 * SEED_SD  # today's map of lowest losses: three times the seed's


def test_cells_that_differ_are_found_and_the_best_is_among_the_set() -> None:
    drawn = _drawn(0.004)
    assert sum(each.estimates.differ for each in drawn) >= 80
    kept = [each.estimates.among_best[each.estimates.cells.index(each.best_cell)] for each in drawn]
    assert sum(kept) >= 95
    assert np.mean([each.estimates.among_best.mean() for each in drawn]) < 0.8


@pytest.mark.parametrize("cell_sd", [0.0, 0.0015, 0.004])
def test_the_luckiest_trial_is_expected_to_do_what_it_does(cell_sd: float) -> None:
    """Its own loss is too good by five thousandths; the estimate is not, and its interval holds."""
    errors, lucks, held = [], [], 0
    for each in _drawn(cell_sd):
        lowest = int(each.losses.argmin())
        lucks.append(each.losses[lowest] - each.expected[lowest])
        error = each.estimates.of_trials.losses[lowest] - each.expected[lowest]
        errors.append(error)
        reach = each.estimates.reach * each.estimates.of_trials.errors[lowest]
        held += abs(error) <= reach
    assert np.mean(lucks) < -0.004
    assert abs(np.mean(errors)) < 0.001
    assert held >= 85


def _few(losses: list[float], cells: list[str]) -> CellEstimates:
    return cell_estimates(pd.Series(cells), np.array(losses), np.ones((len(losses), 1)))


def test_one_trial_a_cell_shows_no_scatter_and_nothing_is_told() -> None:
    found = _few([0.5, 0.6, 0.7], ["a", "b", "c"])
    assert found.p_value is None and not found.differ
    assert found.among_best.all()
    one = _few([0.5], ["a"])
    assert np.isnan(one.of_cells.losses).all() and np.isinf(one.reach)


def test_a_cell_of_one_trial_is_drawn_further_than_one_of_many() -> None:
    found = _few([0.60, 0.50, 0.51, 0.49, 0.50, 0.55, 0.56, 0.54], list("abbbbccc"))
    raw = {"a": 0.60, "b": 0.50}
    middle = found.of_cells.losses.mean()
    pulled = {
        cell: (raw[cell] - found.of_cells.losses[n]) / (raw[cell] - middle)
        for n, cell in enumerate(found.cells)
        if cell in raw
    }
    assert 0 < pulled["b"] < pulled["a"] < 1


def test_losses_without_any_scatter_are_what_they_are() -> None:
    found = _few([0.5, 0.5, 0.6, 0.6], list("aabb"))
    assert found.differ
    assert found.among_best.tolist() == [True, False]
    assert found.of_cells.losses == pytest.approx([0.5, 0.6], abs=3e-3)


def test_more_trials_are_needed_for_a_smaller_difference() -> None:
    found = _Drawn(np.random.default_rng(0), cell_sd=0.0).estimates
    assert found.scatter == pytest.approx(1.22 * SEED_SD, rel=0.25)
    assert found.trials_to_tell(0.001) == pytest.approx(4 * found.trials_to_tell(0.002), rel=0.1)
