"""The table of best architectures, and how it is written down."""

import io
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from mlproject.analysis.recommended import Recommendation
from mlproject.analysis.report.best import best_architectures
from mlproject.analysis.report.best_tables import best_csv, best_html, best_latex, best_markdown
from mlproject.models.arch_grid import architecture_grid
from mlproject.models.budget import parse_budget
from tests.analysis.audit.conftest import tracked, trial_of


def _row(study: str, number: int, loss: float, **changes: object) -> dict[str, object]:
    return {
        "study": study,
        "run_id": f"{study}-{number}",
        "number": number,
        "origin": "live",
        "budget": "2M",
        "budget_parameters": 2_000_000,
        "horizon_days": 3,
        "task": "threshold_1pct",
        "target": "1 % within 3 days",
        "loss": loss,
        "prior_loss": 0.625,
        "val_loss_adjusted": 0.55,
        "skill_adjusted": 0.12,
        "verdict_prior": "better",
        "verdict_baselines": "undecided",
        "d_model": 64,
        "n_layers": 48,
        "n_heads": 8,
        "d_ff": 256,
        "param_count": 2_417_473,
        "learning_rate": 0.000321,
        **changes,
    }


@pytest.fixture
def best() -> pd.DataFrame:
    rows = [
        _row("large", 0, 0.6, budget="20M", budget_parameters=20_000_000),
        _row("small", 4, 0.5),
        _row("small", 2, 0.51),
        _row(
            *("unknown", 1, 0.4),
            horizon_days=5,
            origin="log",
            **dict.fromkeys(("prior_loss", "val_loss_adjusted", "skill_adjusted"), float("nan")),
            **dict.fromkeys(("verdict_prior", "verdict_baselines"), "–"),
        ),
    ]
    return best_architectures(pd.DataFrame(rows), {})


def test_of_each_study_the_lowest_loss_stands_smallest_budget_first(best: pd.DataFrame) -> None:
    assert list(best["study"]) == ["small", "large", "unknown"]
    assert list(best["number"]) == [4, 0, 1]
    assert list(best["trials"]) == [2, 1, 1]
    assert best["skill"][0] == pytest.approx(0.2)


def test_csv_is_at_full_precision_and_names_the_runs(best: pd.DataFrame) -> None:
    read = pd.read_csv(io.StringIO(best_csv(best)))
    assert list(read["run_id"]) == ["small-4", "large-0", "unknown-1"]
    assert list(read["learning_rate"]) == [0.000321] * 3
    assert read["prior_loss"].isna().tolist() == [False, False, True]
    assert read["expected_loss"].isna().tolist() == [False, True, True]
    assert read["expected_low"][0] < read["expected_loss"][0] < read["expected_high"][0]
    assert read["confidence"].tolist() == [0.95] * 3
    assert read["tried"].tolist() == [1, 1, 1]


def test_markdown_has_a_row_per_study(best: pd.DataFrame) -> None:
    lines = best_markdown(best).splitlines()
    assert len(lines) == 2 + len(best)
    assert len({line.count("|") for line in lines}) == 1
    assert (
        "| 2M | 1 % within 3 days | 2 | lowest loss | 64 | 48 | 8 | 256 | 2,417,473 | 3.2e-04 | 4 "
        "| live | 0.5050 | " in lines[2]
    )
    assert (
        "(95%) | – | 1 of 1 widths and depths | 0.5500 | 0.6250 | +12.0% | better | undecided | 4 "
        "| 64 x 48, 8 heads, d_ff 256 | 0.5000 | +20.0% |" in lines[2]
    )
    assert "| – | – | – | 1 of 1 widths and depths | – | – | – | – | – | 1 |" in lines[4]


def test_what_the_study_recommends_stands_first_and_the_luckiest_beside_it() -> None:
    """By the study's own estimate: no other is made of its trials."""
    grid = architecture_grid(parse_budget("2M"), 25)
    architecture = grid.architectures[40]
    said = Recommendation(
        trial=tracked(trial_of(architecture, grid, 2)),
        val_loss=0.5123,
        low=0.5061,
        high=0.5185,
        probability_best=0.42,
        among_best=3,
        architectures=None,
    )
    rows = [_row("small", 4, 0.5), _row("small", 2, 0.51)]
    best = best_architectures(pd.DataFrame(rows), {"small": said})
    row = best.loc[0]
    assert (row["chosen_by"], row["number"], row["d_model"]) == (
        *("estimate", 2),
        architecture.d_model,
    )
    assert (row["expected_loss"], row["expected_low"], row["confidence"]) == (0.5123, 0.5061, 0.9)
    assert (row["luckiest"], row["loss"], row["run_id"], row["luckiest_run_id"]) == (
        *(4, 0.5, "run2", "small-4"),
    )
    text = best_markdown(best)
    assert "| 0.5123 | 0.5061 to 0.5185 (90%) | 42% | 3 architectures | 0.5500 |" in text
    table = pd.DataFrame({"trial": range(12)})
    tried = best_architectures(pd.DataFrame(rows), {"small": replace(said, architectures=table)})
    assert "| 3 of 12 architectures |" in best_markdown(tried)
    assert pd.read_csv(io.StringIO(best_csv(tried)))["tried"].tolist() == [12]


def test_the_luck_of_the_lowest_loss_is_taken_off() -> None:
    """Fifty trials that differ by nothing but luck: the expected loss is that of them all."""
    generator = np.random.default_rng(0)
    rows = [
        _row("luck", number, 0.57 + loss, d_model=64 * width, learning_rate=rate)
        for number, (loss, width, rate) in enumerate(
            zip(
                generator.normal(0, 0.003, 50),
                generator.integers(1, 8, 50),
                generator.uniform(1e-4, 1e-3, 50),
                strict=True,
            )
        )
    ]
    best = best_architectures(pd.DataFrame(rows), {}).loc[0]
    assert best["loss"] < 0.565
    assert best["expected_loss"] == pytest.approx(0.57, abs=0.0015)
    assert best["expected_low"] < 0.57 < best["expected_high"]
    assert best["expected_high"] - best["expected_low"] < 0.006
    assert (best["among_best"], best["tried"]) == (7, 7)


def test_latex_escapes_what_it_has_to(best: pd.DataFrame) -> None:
    text = best_latex(best)
    assert r"d\_model" in text
    assert r"1 \% within 3 days" in text
    hostile = best.assign(target=r"\input{x} & $y$ ~^#")
    row = next(line for line in best_latex(hostile).splitlines() if "input" in line)
    assert r"\textbackslash{}input\{x\} \& \$y\$ \textasciitilde{}\textasciicircum{}\#" in row
    assert row.count(" & ") == text.splitlines()[2].count(" & ")


def test_html_is_text(best: pd.DataFrame) -> None:
    assert "<script>" not in best_html(best.assign(target="<script>alert(1)</script>"))
