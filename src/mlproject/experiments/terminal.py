"""What a person at a terminal reads of a study's trials: one short line as each begins and ends.

The whole line of a trial, with every setting to the last digit, is in the trial log alone. The
short ones go through Optuna's logger, so that who quiets it quiets them, and a progress bar stays
below them. They are no journal: nothing reads them back, and none begins as a line there does.
"""

import logging
import re
from collections.abc import Sequence

import optuna

from mlproject.text.durations import duration
from mlproject.tracking.names import Metric, Param, Tag, TrialState
from mlproject.tracking.trial_run import TrialRun

TO_TERMINAL = "to_terminal"
"""Attribute of a record of the trial log's: whether the terminal shows it too."""
_TERMINAL_LOGGER = "optuna.terminal"
_logger = optuna.logging.get_logger(_TERMINAL_LOGGER)
_own_logger = logging.getLogger(__name__)

_ENDS_A_TRIAL = re.compile(r"Trial \d+ (?:finished with value|pruned\.|failed with)")
"""Optuna's own lines, which say the same with all params, and of a failure with a stack trace."""
_ENDS = {TrialState.COMPLETE: "complete", TrialState.PRUNED: "pruned", TrialState.FAIL: "failed"}
_SHAPE = (Param.D_MODEL, Param.N_LAYERS, Param.N_HEADS, Param.D_FF)


def show_begin(trial: TrialRun, *, done: str, time_left: str | None) -> None:
    """Show that a trial has its params; `done` says how many have finished."""
    why = [trial.tags[tag] for tag in (Tag.FORCED_EXTREME, Tag.SUPPLEMENT) if tag in trial.tags]
    if Tag.WARM_START in trial.tags:
        why.append(f"as {trial.tags[Tag.WARM_START]}")
    if Tag.REPLICATE_OF in trial.tags:
        why.append(f"replicate of trial {trial.tags[Tag.REPLICATE_OF]}")
    if Tag.RETRY_OF in trial.tags:
        why.append(f"again, after trial {trial.tags[Tag.RETRY_OF]}")
    parts = [_shape(trial), f"{trial.params[Param.EPOCHS]} epochs", *why]
    _logger.info(_line(trial, "begins", done, [*parts, time_left]))


def show_end(trial: TrialRun, *, done: str, best: str, time_left: str | None) -> None:
    """Show what became of a trial, and the `best` so far."""
    parts = [_shape(trial)]
    if trial.state is TrialState.FAIL:
        parts.append(trial.tags.get(Tag.FAILURE_REASON, ""))
    elif Tag.DIVERGED in trial.tags:
        parts.append("it diverged")
    elif Metric.BEST_VAL_LOSS in trial.metrics:
        parts.append(f"loss {trial.metrics[Metric.BEST_VAL_LOSS]:.4f}")
    parts.append(best)
    if trial.ended_ms is not None:
        parts.append(f"took {duration((trial.ended_ms - trial.started_ms) / 1000)}")
    level = logging.WARNING if trial.state is TrialState.FAIL else logging.INFO
    what = _ENDS[trial.state]
    if trial.state is TrialState.PRUNED and Metric.EPOCHS_RUN in trial.metrics:
        what += f" in epoch {trial.metrics[Metric.EPOCHS_RUN]:.0f}"
    _logger.log(level, _line(trial, what, done, [*parts, time_left]))


def is_for_terminal(record: logging.LogRecord) -> bool:
    """Tell whether what passes Optuna's logger is shown.

    A stack trace is, where the program is asked for more than usual.
    """
    if hasattr(record, TO_TERMINAL):  # it passes however quiet Optuna has been told to be
        is_loud_enough = record.levelno >= optuna.logging.get_verbosity()
        return getattr(record, TO_TERMINAL) and is_loud_enough
    is_end = record.name.startswith("optuna.study") and _ENDS_A_TRIAL.match(record.getMessage())
    return not is_end or (
        record.levelno >= logging.WARNING and _own_logger.isEnabledFor(logging.DEBUG)
    )


def is_for_trial_log(record: logging.LogRecord) -> bool:
    """Tell whether what passes Optuna's logger is kept in the trial log."""
    return record.name != _TERMINAL_LOGGER


def _line(trial: TrialRun, what: str, done: str, parts: Sequence[str | None]) -> str:
    return f"trial {trial.trial_number} {what}, {done} done: {', '.join(filter(None, parts))}"


def _shape(trial: TrialRun) -> str:
    """Such as ``192 x 8, 2 heads, d_ff 384``; empty before the architecture was chosen."""
    if any(param not in trial.params for param in _SHAPE):
        return ""
    d_model, n_layers, n_heads, d_ff = (trial.params[param] for param in _SHAPE)
    return f"{d_model} x {n_layers}, {n_heads} heads, d_ff {d_ff}"
