"""Optuna's word on which trial is best, where somebody has added trials to the storage by hand."""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager

import optuna

from mlproject.search.trial_queue import best_trial

_BEST = re.compile(r" Best is trial \d+ with value: \S+\.$")
_logger = logging.getLogger("optuna.study.study")


@contextmanager
def own_best(study: optuna.Study) -> Iterator[None]:
    """Let Optuna's lines on finished trials name the best of the study's own trials."""

    def name_own(record: logging.LogRecord) -> bool:
        best = best_trial(study) if _BEST.search(str(record.msg)) else None
        if best is not None:
            own = f" Best is trial {best.number} with value: {best.value}."
            record.msg = _BEST.sub(own, str(record.msg))
        return True

    _logger.addFilter(name_own)
    try:
        yield
    finally:
        _logger.removeFilter(name_own)
