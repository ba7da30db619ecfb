"""The name of every param, metric and tag, the same in code, MLflow, the trial log and docs."""

from collections.abc import Mapping
from enum import StrEnum

from mlproject.training.epoch_metrics import CURVES
from mlproject.training.settings import HYPERPARAMETERS


class Param(StrEnum):
    """Params of a trial's run."""

    ARCH_IDX = "arch_idx"
    D_MODEL = "d_model"
    N_LAYERS = "n_layers"
    N_HEADS = "n_heads"
    D_FF = "d_ff"
    PARAM_COUNT = "param_count"
    GRID_VERSION = "grid_version"
    N_FEATURES = "n_features"
    SEARCH_SPACE = "search_space"
    BUDGET = "budget"
    HORIZON = "horizon"
    TASK = "task"
    LEARNING_RATE = "learning_rate"
    EPOCHS = "epochs"
    BATCH_SIZE = "batch_size"
    WEIGHT_DECAY = "weight_decay"
    WARMUP_STEPS = "warmup_steps"
    DROPOUT = "dropout"


ARCHITECTURE_PARAMS = (
    Param.ARCH_IDX,
    Param.D_MODEL,
    Param.N_LAYERS,
    Param.N_HEADS,
    Param.D_FF,
    Param.PARAM_COUNT,
    Param.GRID_VERSION,
    Param.N_FEATURES,
)
"""What says which architecture a trial had; the index means something in its grid alone."""

WHOLE_PARAMS = (
    *ARCHITECTURE_PARAMS,
    Param.SEARCH_SPACE,
    Param.HORIZON,
    *(Param(row.name) for row in HYPERPARAMETERS if row.type is int),
)
REAL_PARAMS = tuple(Param(row.name) for row in HYPERPARAMETERS if row.type is float)
HYPERPARAMETER_PARAMS = tuple(Param(row.name) for row in HYPERPARAMETERS)
"""Everything that decides how a trial trains beside its architecture."""
SEARCHED_PARAMS = tuple(Param(row.name) for row in HYPERPARAMETERS if row.searched)
"""What some search space chooses beside the architecture."""


class Metric(StrEnum):
    """Metrics of a trial's run; `EPOCH_METRICS` have one value per epoch (step = epoch).

    ``.low`` and ``.high`` are the ends of an interval over days like these; it knows nothing of how
    the epoch or the trial was chosen.
    """

    TRAIN_LOSS = "train_loss"
    VAL_LOSS = "val_loss"
    BEST_VAL_LOSS = "best_val_loss"
    VAL_AUC = "val_auc"
    VAL_AVERAGE_PRECISION = "val_average_precision"
    VAL_ACCURACY = "val_accuracy"
    VAL_AUC_LOW = "val_auc.low"
    VAL_AUC_HIGH = "val_auc.high"
    VAL_AVERAGE_PRECISION_LOW = "val_average_precision.low"
    VAL_AVERAGE_PRECISION_HIGH = "val_average_precision.high"
    VAL_ACCURACY_LOW = "val_accuracy.low"
    VAL_ACCURACY_HIGH = "val_accuracy.high"
    PRIOR_LOSS = "prior_loss"
    SKILL = "skill"
    SKILL_LOW = "skill.low"
    SKILL_HIGH = "skill.high"
    # Without the luck of having chosen the epoch; that of the parent run knows of all trials.
    SKILL_ADJUSTED = "skill_adjusted"
    # The two parts of `skill`: expecting the right share of rises, and telling days apart.
    SKILL_BASE_RATE = "skill_base_rate"
    SKILL_DISCRIMINATION = "skill_discrimination"
    SKILL_DISCRIMINATION_LOW = "skill_discrimination.low"
    SKILL_DISCRIMINATION_HIGH = "skill_discrimination.high"
    EPOCHS_RUN = "epochs_run"
    DURATION_SECONDS = "duration_seconds"
    SAMPLES_PER_SECOND = "samples_per_second"
    PEAK_MEMORY_BYTES = "peak_memory_bytes"
    # MLflow compares params as text: what is filtered by size is a metric too.
    PARAM_COUNT = "param_count"
    HORIZON = "horizon"
    D_MODEL = "d_model"
    N_LAYERS = "n_layers"


class TestMetric(StrEnum):
    """Metrics of an evaluation's run: on the test span, the mean over the seeds.

    `spread_of` names their standard deviation over the seeds, `of_baseline` those of a baseline.
    The AUC has an interval, whose ends are under its name with ``.low`` and ``.high`` behind it.
    """

    __test__ = False  # no test of pytest's

    LOSS = "test_loss"
    AUC = "test_auc"
    AVERAGE_PRECISION = "test_average_precision"
    BRIER = "test_brier"
    ACCURACY = "test_accuracy"


def spread_of(metric: TestMetric) -> str:
    """Name a metric's spread, such as ``test_loss_std``."""
    return f"{metric}_std"


def of_baseline(metric: TestMetric, baseline: str) -> str:
    """Name a metric of a baseline, such as ``logistic_regression.test_loss``."""
    return f"{baseline}.{metric}"


def lead_over(baseline: str) -> str:
    """Name the lead over a baseline, such as ``loss_minus.logistic_regression``.

    With ``.low`` and ``.high`` behind it, the ends of its interval.
    """
    return f"loss_minus.{baseline}"


class ClaimMetric(StrEnum):
    """Metrics of a study's parent run that say what its best loss is worth.

    `of_difference` names the ends of an interval and the p-value of a difference.
    """

    VAL_LOSS_ADJUSTED = "val_loss_adjusted"
    SKILL_ADJUSTED = "skill_adjusted"
    LOSS_DIFFERENCE_PRIOR = "loss_difference_prior"
    LOSS_DIFFERENCE_BASELINES = "loss_difference_baselines"


class RecommendedMetric(StrEnum):
    """Metrics of a study's parent run about the architecture that it recommends."""

    VAL_LOSS = "recommended.val_loss"
    LOW = "recommended.val_loss.low"
    HIGH = "recommended.val_loss.high"
    PROBABILITY_BEST = "recommended.probability_best"
    AMONG_BEST = "recommended.among_best"
    """How many architectures cannot be told from it, itself included."""


def of_difference(metric: ClaimMetric, what: str) -> str:
    """Name a part of a difference, such as ``loss_difference_prior.low``."""
    return f"{metric}.{what}"


def validation_loss_of(baseline: str) -> str:
    """Name a baseline's validation loss, such as ``volatility.val_loss``."""
    return f"{baseline}.val_loss"


EPOCH_METRICS = tuple(Metric(name) for name in CURVES)
SIZE_METRICS = (Metric.PARAM_COUNT, Metric.HORIZON, Metric.D_MODEL, Metric.N_LAYERS)


class Tag(StrEnum):
    """Tags of a trial's run; a study's parent run carries `STUDY_NAME` too."""

    STUDY_NAME = "study_name"
    TRIAL_NUMBER = "trial_number"
    TRIAL_STATE = "trial_state"
    FORCED_EXTREME = "forced_extreme"
    WARM_START = "warm_start"
    SUPPLEMENT = "supplement"
    RETRY_OF = "retry_of"
    REPLICATE_OF = "replicate_of"
    REPLICATE = "replicate"
    ORIGIN = "origin"
    FAILURE_REASON = "failure_reason"
    DIVERGED = "diverged"


START_TAGS = (
    Tag.FORCED_EXTREME,
    Tag.WARM_START,
    Tag.SUPPLEMENT,
    Tag.RETRY_OF,
    Tag.REPLICATE_OF,
    Tag.REPLICATE,
)
"""What a trial is known to be when it begins."""
ATTR_TAGS = (*START_TAGS, Tag.DIVERGED)
"""Tags that a trial keeps under the same names among its user attributes in Optuna's storage."""

IDENTITY_ATTR = "identity"
"""User attribute of a study in Optuna's storage: the settings that all its trials share."""
IMPLIED_IDENTITY: Mapping[str, str | int] = {"search_space": 1, "validation": "earliest"}
"""What the identity of a study means that began before this was said."""
METRICS_ATTR = "metrics"
"""User attribute of a trial: its metrics with one value, by name."""
MARKET_LOSSES_ATTR = "val_loss_by_market"
"""User attribute of a trial of several markets: the validation loss of each at the best epoch."""
LOGITS_ATTR = "val_logits"
"""User attribute of a trial: its logits of the validation windows at the best epoch, see
`mlproject.experiments.validation_windows`."""
PROCESS_DIED = "its process died (killed, out of memory, or power lost)"
"""The failure reason of a trial that left no word."""


class Origin(StrEnum):
    """Where a trial's run comes from."""

    LIVE = "live"
    LOG = "log"


class TrialState(StrEnum):
    """The state of a trial, in Optuna's words."""

    RUNNING = "RUNNING"
    COMPLETE = "COMPLETE"
    PRUNED = "PRUNED"
    FAIL = "FAIL"


FINISHED_STATES = (TrialState.COMPLETE, TrialState.PRUNED)
"""The states of a trial whose architecture was tested, if only to be found bad."""

MLFLOW_STATUS = {
    TrialState.RUNNING: "RUNNING",
    TrialState.COMPLETE: "FINISHED",
    TrialState.PRUNED: "KILLED",
    TrialState.FAIL: "FAILED",
}
"""The status of a run by the state of its trial, as MLflow's own Optuna storage maps them."""

PARENT_RUN_ID_TAG = "mlflow.parentRunId"
VALIDATION_WINDOWS_FILE = "validation_windows.npz"
"""Artifact of a trial's run: date, market, label, probability and loss of each validation window
at its best epoch."""
VALIDATION_WINDOWS_TAG = "validation_windows"
"""On a trial's run that has this file."""
NOTE_TAG = "mlflow.note.content"
SUMMARY_TAG = "study_summary"
"""On a parent run: what this program last wrote into its description, which is a user's too."""
TRIAL_IDENTITY_TAG = "trial_identity"
"""On a trial's run: study, trial number and start in milliseconds, by which the run is known
wherever it is moved to; copies of a run do not keep its start."""
STUDY_STORAGE_TAG = "study_storage"
"""On a parent run: the URL of Optuna's storage that its last launch used, without a password."""
STUDY_FOLDER_TAG = "study_folder"
"""On a parent run: machine and folder of the trial log and the checkpoints."""
LAUNCH_OF_TAG = "launch_of"
"""On the run that `mlflow run` made for a later launch of a study: the study's name."""
PLAN_OPTIMISER_PARAM = "plan.optimiser"
"""On a parent run: what its trials train with; `mlflow run` logs what was asked for, such as
``auto``, under the plain name."""
PLAN_PRECISION_PARAM = "plan.precision"
PLANNED_TRIALS_TAG = "planned_trials"
"""On a parent run: how many trials its last launch was asked for."""
CONTROL_TAG = "control"
"""On a parent run: what its user asks of the launch, such as ``pause``; removed when it is read."""
CONTROL_DONE_TAG = "control_done"
"""On a parent run: when something was asked last, and what became of it."""
N_TRIALS_ATTR = "n_trials_asked"
"""User attribute of a study in Optuna's storage: how many trials its user wanted instead, and
instead of how many."""
ETA_METRIC = "eta_seconds"
"""On a parent run, while it runs: how long the study will still take; 0 once it is through."""
ETA_AT_MOST_METRIC = "eta_at_most_seconds"
"""The same if no trial is pruned or stops early."""
TIME_LEFT_TAG = "time_left"
"""The same in words, and as of when."""
RECOMMENDED_TAG = "recommended"
"""On a parent run: the architecture of the lowest estimate."""
RECOMMENDED_TRIAL_TAG = "recommended_trial"
"""On a parent run: the number of the first trial of the recommended configuration."""
ARCHITECTURES_FILE = "architectures.csv"
"""Artifact of a parent run: the estimates of all architectures tried, the recommended one first."""
VERDICT_PRIOR_TAG = "verdict_prior"
"""On a parent run: ``better``, ``undecided`` or ``worse``, of the best trial against the prior."""
VERDICT_BASELINES_TAG = "verdict_baselines"
"""The same against the best of the simple baselines."""
ANALYSIS_TAG = "analysis"
"""On a run that is neither a study nor a trial: the command that made it, such as ``audit``."""
EVALUATED_STUDY_TAG = "evaluated_study"
"""On an evaluation's run: the study. `Tag.STUDY_NAME` there would make it a study's own run."""
EVALUATED_TRIAL_TAG = "evaluated_trial_run"
"""On an evaluation's run: the run of the trial whose architecture was trained."""
N_HEADS_FROM_TAG = "recovery.n_heads_from"
"""``grid`` where a recovered trial's source did not say the heads and its grid proves them."""

FINGERPRINT_TAGS = ("recovery.fingerprint", "recovery.outcome")
"""Tags by which a recovered trial is known, whatever file or clock it was read with."""
