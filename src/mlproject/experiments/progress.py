"""What a person watching the terminal sees: one bar for the study, the best value, the time left.

The lines above the bar are in `terminal`.
"""

import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Never

import optuna
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from mlproject.experiments.time_left import TimeLeft
from mlproject.search.trial_queue import best_trial

SECONDS_BETWEEN_STEPS_SHOWN = 2.0
SECONDS_BETWEEN_LINES = 600.0
"""Where there is no terminal, a line this often says that a study is alive: an epoch may take
hours."""
_BAR = "{desc}: {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{elapsed}{postfix}]"
"""As tqdm's own, but for its time left, which knows nothing of the architectures."""


class Progress:
    """The progress bar of a study; a line now and then where standard error is no terminal."""

    def __init__(self, bar: "tqdm[Never]", study: optuna.Study) -> None:
        self._bar = bar
        self._study = study
        self.time_left: TimeLeft | None = None
        self._best = self._read_best()
        self._trials: dict[int, str] = {}
        """What is shown of each trial at work."""
        self._shown = 0.0
        self._said = time.monotonic()

    @property
    def best(self) -> str:
        """The lowest loss so far, such as ``best 0.5590 (trial 3)``."""
        return (
            self._best if self._best_trial is None else f"{self._best} (trial {self._best_trial})"
        )

    def say(self, line: str, printed: Callable[[str], object]) -> None:
        """Let a line be printed above the bar."""
        with tqdm.external_write_mode(file=sys.stderr):
            printed(line)

    def begin_trial(self) -> None:
        """A trial begins."""
        self._best = self._read_best()

    def add_step(self, trial_number: int, epoch: str, step: int, steps: int) -> None:
        """So many of an epoch's steps are done: shown where they are slow."""
        if time.monotonic() - self._shown >= SECONDS_BETWEEN_STEPS_SHOWN:
            self._show(trial_number, f"{epoch} step {step}/{steps}")

    def add(self, trial_number: int, epoch: str) -> None:
        """An epoch, such as ``3/50``, has ended."""
        self._show(trial_number, epoch)

    def end_trial(self, trial_number: int) -> None:
        """A trial has ended."""
        self._trials.pop(trial_number, None)

    def finish(self, finished: int) -> None:
        """So many trials are finished."""
        self._best = self._read_best()
        self._bar.set_postfix_str(", ".join(self._standing()), refresh=False)
        self._bar.update(finished - self._bar.n)

    def plan(self, n_trials: int) -> None:
        """The study is to have so many trials from now on."""
        self._bar.total = n_trials
        self._bar.refresh()

    def _show(self, trial_number: int, epoch: str) -> None:
        self._trials[trial_number] = f"trial {trial_number} epoch {epoch}"
        text = ", ".join([*self._standing(), *self._trials.values()])
        self._bar.set_postfix_str(text)
        self._shown = time.monotonic()
        if self._bar.disable and self._shown - self._said >= SECONDS_BETWEEN_LINES:
            print(f"{self._study.study_name}: {text}", file=sys.stderr, flush=True)
            self._said = self._shown

    def _standing(self) -> list[str]:
        left = self.time_left
        return [self._best] if left is None or not left.trials_left else [self._best, str(left)]

    def _read_best(self) -> str:
        best = best_trial(self._study)
        self._best_trial = None if best is None else best.number
        return "best -" if best is None else f"best {best.value:.4f}"


@contextmanager
def show_progress(study: optuna.Study, *, finished: int, n_trials: int) -> Iterator[Progress]:
    """Show a bar while the block runs; log lines scroll above it."""
    with (
        tqdm(
            total=n_trials,
            initial=finished,
            unit="trial",
            desc=study.study_name,
            bar_format=_BAR,
            dynamic_ncols=True,
            disable=not _is_a_screen(),
        ) as bar,
        logging_redirect_tqdm(loggers=[logging.getLogger("optuna")] if not bar.disable else []),
    ):
        yield Progress(bar, study)


def _is_a_screen() -> bool:
    """Whether a bar can be seen: standard error is a terminal, and one that has a size."""
    try:
        return sys.stderr.isatty() and os.get_terminal_size(sys.stderr.fileno()).lines > 0
    except (OSError, ValueError, AttributeError):
        return False
