"""What the MLflow run of a trial holds, wherever the trial comes from."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from mlproject.models.arch_grid import Architecture
from mlproject.tracking.names import FINISHED_STATES, Metric, Origin, Param, Tag, TrialState
from mlproject.training.epoch_metrics import EpochMetrics, has_exploded


def architecture_params(architecture: Architecture) -> dict[Param, int]:
    """Return the params that name an architecture, but for the grid that it stands in."""
    return {
        Param.ARCH_IDX: architecture.arch_idx,
        Param.D_MODEL: architecture.d_model,
        Param.N_LAYERS: architecture.n_layers,
        Param.N_HEADS: architecture.n_heads,
        Param.D_FF: architecture.d_ff,
        Param.PARAM_COUNT: architecture.param_count,
    }


@dataclass(frozen=True, kw_only=True)
class TrialRun:
    """A trial, as everything that its run shows.

    Live trials and recovered ones are both made into this, so that both end in the same shape. A
    param, metric or tag that is not known is absent.
    """

    trial_number: int
    state: TrialState
    started_ms: int
    """Start in milliseconds since the epoch, UTC."""
    ended_ms: int | None = None
    """End in milliseconds since the epoch, UTC; None while the trial runs."""
    params: Mapping[Param, int | float | str] = field(default_factory=dict)
    metrics: Mapping[Metric, float] = field(default_factory=dict)
    """Metrics with one value; the losses per epoch are in `epochs`."""
    epochs: tuple[EpochMetrics, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    """All tags but `trial_number` and `trial_state`, which follow from the fields above."""
    known_by: tuple[tuple[str, str], ...] = ()
    """Names and values of tags: a run that has any of them is this trial's, as is one with its
    `identity`."""
    unfinished: bool = False
    """The source that tells of the trial ends before it does; a run that shows how it ended, or a
    process that still works on it, knows better."""
    validation_file: Callable[[], bytes] | None = field(default=None, compare=False, repr=False)
    """Makes the file of its validation windows; None where nothing keeps them, as in logs."""

    @property
    def identity(self) -> str | None:
        """What tells this trial from every other one; None where its study is not known."""
        study = self.tags.get(Tag.STUDY_NAME)
        return f"{study}/{self.trial_number}/{self.started_ms}" if study else None

    @property
    def is_finished(self) -> bool:
        """Whether the trial is complete or pruned."""
        return self.state in FINISHED_STATES

    @property
    def has_result(self) -> bool:
        """Whether the trial is complete and its validation loss is known."""
        return self.state is TrialState.COMPLETE and Metric.BEST_VAL_LOSS in self.metrics

    @property
    def has_diverged(self) -> bool:
        """Whether the trial's loss exploded."""
        loss = self.metrics.get(Metric.BEST_VAL_LOSS)
        return Tag.DIVERGED in self.tags or (loss is not None and has_exploded(loss))

    @property
    def is_recovered(self) -> bool:
        """Whether a log or a storage tells of the trial, and no live run."""
        return self.tags.get(Tag.ORIGIN) == Origin.LOG


def best_run(runs: Iterable[TrialRun]) -> TrialRun | None:
    """Return the complete trial with the lowest validation loss; None before there is one."""
    with_result = (run for run in runs if run.has_result)
    return min(with_result, key=lambda run: run.metrics[Metric.BEST_VAL_LOSS], default=None)
