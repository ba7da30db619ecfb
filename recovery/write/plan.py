"""What a backfill would write: studies resolved and validated, before anything touches MLflow."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from mlproject.tracking.trial_run import TrialRun
from recovery.checks.validate import Validation, validate
from recovery.resolve import ResolvedStudy, resolve
from recovery.sources.collect import Collection
from recovery.write.trial_runs import trial_run

MAX_LABEL = 150
"""Characters of a file name that its artifacts are named after."""


@dataclass(frozen=True, kw_only=True)
class StudyPlan:
    """One study, ready to be written."""

    study: ResolvedStudy
    validation: Validation
    runs: tuple[TrialRun, ...]
    """The sound trials; the others are in the quarantine."""

    @property
    def quarantined(self) -> int:
        """How many trials stay out."""
        return len(self.validation.errors)

    @property
    def sources(self) -> list[str]:
        """The files that tell of the study."""
        return sorted({trial.record.source for trial in self.study.trials})

    @property
    def label(self) -> str:
        """Where the artifacts of these sources go, so that other sources' artifacts stay.

        Named after a file, whose name may hold any sign: here those that every store takes.
        """
        first, *others = self.sources
        safe = "".join(c if c.isalnum() or c in "._-" else "_" for c in first[:MAX_LABEL])
        return f"recovery/{safe}" + (f"+{len(others)}" if others else "")

    @property
    def digest(self) -> str:
        """Tells whether the artifacts differ from those of an earlier backfill."""
        text = f"{self.sources}{self.validation.errors}{self.validation.warnings}{len(self.runs)}"
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def plan_studies(collection: Collection) -> Iterator[StudyPlan]:
    """Resolve and validate study after study."""
    for name, records in collection.studies.items():
        study = resolve(name, records)
        validation = validate(study)
        runs = tuple(
            trial_run(study, trial, validation.warnings.get(row, ()))
            for row, trial in enumerate(study.trials)
            if row not in validation.errors
        )
        yield StudyPlan(study=study, validation=validation, runs=runs)
