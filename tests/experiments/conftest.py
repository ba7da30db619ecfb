"""Small studies over real grids."""

from collections.abc import Callable
from typing import Any

import pytest

from mlproject.data.labels import parse_task
from mlproject.experiments.search_space import SearchSpace
from mlproject.experiments.settings import StudySettings
from mlproject.models.arch_grid import architecture_grid
from mlproject.models.budget import parse_budget

MakeSettings = Callable[..., StudySettings]
MakeSpace = Callable[..., SearchSpace]


@pytest.fixture(scope="session")
def make_settings() -> MakeSettings:
    def make(budget: str = "2M", **changes: Any) -> StudySettings:
        values = {
            "experiment": "phase6a",
            "budget": parse_budget(budget),
            "horizon_days": 3,
            "task": parse_task("threshold_1pct"),
        }
        return StudySettings(**{**values, **changes})

    return make


@pytest.fixture(scope="session")
def make_space(make_settings: MakeSettings) -> MakeSpace:
    def make(budget: str = "2M", **changes: Any) -> SearchSpace:
        settings = make_settings(budget, **changes)
        return SearchSpace(architecture_grid(settings.budget, 25, settings.grid_version), settings)

    return make
