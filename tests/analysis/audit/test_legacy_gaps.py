"""The gaps of the old logs, found in MLflow, against the old program's own summary files."""

import json
from pathlib import Path
from typing import Any

import pytest

from mlproject.analysis.audit import audit_experiment
from mlproject.analysis.audit.checks.divergence import DIVERGED
from mlproject.analysis.audit.checks.missing_params import MISSING_PARAMS
from mlproject.analysis.audit.findings import ExperimentAudit
from mlproject.models.arch_grid import get_architectures_for_budget
from mlproject.models.extremes import distinct_extremes
from mlproject.tracking.store import connect_to_read
from mlproject.tracking.tracked_studies import read_studies
from tests.conftest import LEGACY

pytestmark = pytest.mark.slow

SUMMARIES = sorted(LEGACY.glob("*.truth/*.json"))


@pytest.fixture
def audit(legacy_store: Path) -> ExperimentAudit:
    return audit_experiment(read_studies(connect_to_read("phase6a")))


def _tested(summary: dict[str, Any]) -> set[tuple[int, ...]]:
    """(d_model, n_layers, n_heads, d_ff) of a summary's trials; its d_ff follows from the size."""
    known = {}
    for version in (1, 3):
        for n_features in (20, 25):
            for a in get_architectures_for_budget(summary["budget"], n_features, version=version):
                known[a.d_model, a.n_layers, a.param_count] = a.d_ff
    return {
        (
            t["d_model"],
            t["n_layers"],
            t["n_heads"],
            known[t["d_model"], t["n_layers"], t["param_count"]],
        )
        for t in summary["trials"]
    }


@pytest.mark.parametrize("path", SUMMARIES, ids=lambda path: path.stem)
def test_the_audit_finds_the_gaps_that_the_summary_file_shows(
    audit: ExperimentAudit, path: Path
) -> None:
    summary = json.loads(path.read_text())
    tested = _tested(summary)
    grid = get_architectures_for_budget(summary["budget"], 25)
    expected = set()
    for index, dimension in enumerate(("d_model", "n_layers", "n_heads", "d_ff")):
        allowed = {getattr(a, dimension) for a in grid}
        expected |= {f"{dimension}={v}" for v in allowed - {a[index] for a in tested}}
    for label, a in _extremes(summary["budget"]).items():
        if a not in tested:
            expected.add(label)
    (study,) = [s for s in audit.studies if s.study_name == summary["experiment"]]
    assert {str(gap) for gap in study.gaps} == expected
    assert expected


def _extremes(budget: str) -> dict[str, tuple[int, ...]]:
    from mlproject.models.arch_grid import architecture_grid
    from mlproject.models.budget import parse_budget

    grid = architecture_grid(parse_budget(budget), 25)
    return {
        label: (a.d_model, a.n_layers, a.n_heads, a.d_ff)
        for label, a in distinct_extremes(grid).items()
    }


def test_the_known_problems_are_found(audit: ExperimentAudit) -> None:
    studies = {s.study_name.split("_", 1)[1]: s for s in audit.studies}
    for name in ("2M_h1_threshold_1pct", "2M_h3_threshold_1pct"):
        found = studies[name].findings
        assert any(f.kind is MISSING_PARAMS and "n_heads" in f.text for f in found)
        assert "n_layers=64" in {str(gap) for gap in studies[name].gaps}
        assert "max_n_layers" in {str(gap) for gap in studies[name].gaps}
    assert studies["2M_h1_threshold_1pct"].finished == 50
    truths = [json.loads(path.read_text()) for path in SUMMARIES]
    for truth in truths:
        diverged = {t["trial_number"] for t in truth["trials"] if t["value"] == 100.0}
        (study,) = [s for s in audit.studies if s.study_name == truth["experiment"]]
        found_diverged = {
            ref.trial_number for f in study.findings if f.kind is DIVERGED for ref in f.runs
        }
        assert found_diverged == diverged
    assert not audit.is_clean
