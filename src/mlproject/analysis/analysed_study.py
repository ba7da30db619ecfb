"""A tracked study together with what follows from its runs. No check and no finding is made here.

What is not said by a run or by the study's name stays unknown: nothing is guessed.
"""

import re
from collections import Counter
from dataclasses import dataclass
from functools import cached_property

from mlproject.analysis.dimensions import architecture_of
from mlproject.analysis.recommended import Recommendation, recommendation_of
from mlproject.data.features import FEATURES, feature_names
from mlproject.models.arch_grid import (
    CURRENT_GRID_VERSION,
    GRID_VERSIONS,
    ArchitectureGrid,
    architecture_grid,
)
from mlproject.models.budget import Budget, UnknownBudget, parse_budget
from mlproject.tracking.names import PLANNED_TRIALS_TAG, Origin, Param, Tag
from mlproject.tracking.tracked_studies import TrackedStudy, TrackedTrial

DEFAULT_PLANNED = 50
"""Trials that the studies of the earlier effort were meant to have; their runs do not say."""

_WHOLE = re.compile(r"[0-9]{1,9}")
_STUDY_NAME = re.compile(
    r".+?_(?P<budget>[0-9.]+[kKMB]?)_h(?P<horizon>\d{1,4})_(?P<task>threshold_[0-9.]+pct)", re.ASCII
)


@dataclass(frozen=True)
class AnalysedStudy:
    """A tracked study as analyses see it: with its budget, its grids and how much was planned."""

    tracked: TrackedStudy
    default_planned: int = DEFAULT_PLANNED
    """Trials that a study was meant to have where its runs do not say."""

    @property
    def trials(self) -> tuple[TrackedTrial, ...]:
        """All trials, in any state."""
        return self.tracked.trials

    @cached_property
    def finished(self) -> tuple[TrackedTrial, ...]:
        """Trials that are complete or pruned."""
        return tuple(t for t in self.trials if t.trial.is_finished)

    @property
    def planned(self) -> int:
        """How many trials the study was last asked for."""
        said = self.tracked.tags.get(PLANNED_TRIALS_TAG) or self.tracked.params.get("n_trials", "")
        return _whole(said) or self.default_planned

    @property
    def planned_finished(self) -> tuple[TrackedTrial, ...]:
        """Finished trials that count towards `planned`: supplementary ones come on top."""
        return tuple(t for t in self.finished if Tag.SUPPLEMENT not in t.trial.tags)

    @cached_property
    def sound_architectures(self) -> frozenset[tuple[int | float | str, ...]]:
        """Architectures of which a trial finished without diverging."""
        sound = {architecture_of(t) for t in self.finished if not t.trial.has_diverged}
        return frozenset(architecture for architecture in sound if architecture is not None)

    @cached_property
    def recommendation(self) -> Recommendation | None:
        """The architecture that the study recommends; None where its runs do not say one."""
        return recommendation_of(self.tracked)

    def shared(self, param: Param) -> str | None:
        """A param of the whole study: as its run or name says it, else as most trials do."""
        said = self.tracked.params.get(param)
        match = _STUDY_NAME.fullmatch(self.tracked.study_name)
        if said is None and match is not None and param in match.groupdict():
            said = match[param]
        if said is not None:
            return said
        values = Counter(str(v) for t in self.trials if (v := t.trial.params.get(param)))
        return values.most_common(1)[0][0] if values else None

    def whole(self, name: str) -> int | None:
        """A whole number that the study's own run has as a param; None where it has none."""
        text = self.tracked.params.get(name, "")
        return int(text) if _WHOLE.fullmatch(text) else None

    def fraction(self, name: str) -> float | None:
        """As `whole`, a number between 0 and 1, neither of them."""
        try:
            value = float(self.tracked.params.get(name, ""))
        except ValueError:
            return None
        return value if 0 < value < 1 else None

    @cached_property
    def budget(self) -> Budget | None:
        """The study's budget; None where nothing says it or no grid has it."""
        try:
            budget = parse_budget(self.shared(Param.BUDGET) or "")
            architecture_grid(budget, self._n_features)
        except UnknownBudget:
            return None
        return budget

    @cached_property
    def current_grid(self) -> ArchitectureGrid | None:
        """Today's grid at the study's budget, for today's features: what can be run now."""
        return architecture_grid(self.budget, self.features_today) if self.budget else None

    @cached_property
    def supplement_grid(self) -> ArchitectureGrid | None:
        """The grid of further trials of the study: that of its live trials, or today's.

        A study that this program began goes on with the version it began with; what is known from
        logs alone was another program's.
        """
        live = (t for t in self.trials if t.trial.tags.get(Tag.ORIGIN) == Origin.LIVE)
        begun = next((grid for t in live if (grid := self.grid_of(t)) is not None), None)
        return begun or self.current_grid

    @cached_property
    def own_grid(self) -> ArchitectureGrid | None:
        """The grid that the study searched; None where nothing says which one that was."""
        version = _whole(self.shared(Param.GRID_VERSION) or "")
        if self.budget is None or version not in GRID_VERSIONS:
            return None
        return _grid_or_none(self.budget, self._n_features, version)

    def grid_of(self, trial: TrackedTrial) -> ArchitectureGrid | None:
        """The grid that the trial's own params name; None where they do not."""
        version = trial.trial.params.get(Param.GRID_VERSION)
        n_features = trial.trial.params.get(Param.N_FEATURES)
        if self.budget is None or version not in GRID_VERSIONS or not isinstance(n_features, int):
            return None
        return _grid_or_none(self.budget, n_features, int(version)) if n_features > 0 else None

    def first_version_with(self, dimension: str, value: int) -> int:
        """The grid version that first offers a value of the current grid at this budget."""
        assert self.budget is not None
        for version in sorted(GRID_VERSIONS):
            grid = _grid_or_none(self.budget, self.features_today, version)
            if grid is not None and value in grid.values(dimension):
                return version
        return CURRENT_GRID_VERSION

    @property
    def features_today(self) -> int:
        """How many features a further trial of the study has: with volume or, as it was, without.

        What is known from logs alone may have had others, which can't be run today.
        """
        possible = {len(feature_names(has_volume=has)) for has in (True, False)}
        return self._n_features if self._n_features in possible else len(FEATURES)

    @property
    def _n_features(self) -> int:
        return _whole(self.shared(Param.N_FEATURES) or "") or len(FEATURES)


def _whole(text: str) -> int:
    """The number that a text says; 0 where no study can have it: strangers may have written it."""
    return int(text) if _WHOLE.fullmatch(text) else 0


def _grid_or_none(budget: Budget, n_features: int, version: int) -> ArchitectureGrid | None:
    """The grid; None where its version has no architecture of this budget."""
    try:
        return architecture_grid(budget, n_features, version)
    except UnknownBudget:
        return None
