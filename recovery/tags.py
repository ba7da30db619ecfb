"""The tags that only recovered runs have."""

from enum import StrEnum

MAX_NAME = 200
"""Characters of a sampled parameter's name that are kept; MLflow takes 250 in all."""


def sampled_param(name: str) -> str:
    """The tag of something sampled for which there is no param today, or none that it proves."""
    safe = "".join(sign if sign.isalnum() or sign in "._-" else "_" for sign in name)
    return f"recovery.param.{safe[:MAX_NAME]}"


MAXIMISE = "maximise "
"""Before the metric in `RecoveryTag.OBJECTIVE`."""


class RecoveryTag(StrEnum):
    """Where a recovered run comes from, and how far its values are proven."""

    SOURCE = "recovery.source"
    LINES = "recovery.lines"
    FINGERPRINT = "recovery.fingerprint"
    OUTCOME = "recovery.outcome"
    """A second fingerprint, by which a log and a summary file know the same trial."""
    N_HEADS_FROM = "recovery.n_heads_from"
    """``log`` or ``grid``."""
    GRID = "recovery.grid"
    """The grids that explain every trial of the study, such as ``v1/F20``."""
    WARNINGS = "recovery.warnings"
    FORCED = "recovery.forced"
    """The architecture was forced; which extreme was meant, the old logs do not say."""
    SAMPLED_DROPOUT = "recovery.sampled_dropout"
    MICRO_BATCH = "recovery.micro_batch"
    ROUNDED = "recovery.rounded"
    """Values that are only known as they were printed, rounded."""
    OBJECTIVE = "recovery.objective"
    """What the study optimised, where that is not the validation loss."""
    TIMES_FROM = "recovery.times_from"
    LOGGED_STUDY_NAME = "recovery.logged_study_name"
    LAUNCH = "recovery.launch"
    """Which start of the study, where the sources hold several."""
