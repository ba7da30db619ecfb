"""The checks that an audit consists of, one module per topic.

A check is a function from a study to its findings of one kind, and the kind stands above it in the
same module. A new kind of finding is a check with its kind, and its line in `CHECKS`.
"""

from collections.abc import Callable, Iterable, Mapping

from mlproject.analysis.analysed_study import AnalysedStudy
from mlproject.analysis.audit.checks.best_epochs import (
    BEST_IN_WARM_UP,
    STOPPED_LATE,
    TRAINED_AFTER_BEST,
    best_in_warm_up,
    stopped_late,
    trained_after_best,
)
from mlproject.analysis.audit.checks.contradictions import CONTRADICTION, contradictions
from mlproject.analysis.audit.checks.coverage import (
    UNTESTED_EXTREME,
    UNTESTED_VALUE,
    untested_extremes,
    untested_values,
)
from mlproject.analysis.audit.checks.divergence import DIVERGED, diverged_trials
from mlproject.analysis.audit.checks.duplicates import DUPLICATES, near_duplicates
from mlproject.analysis.audit.checks.missing_params import MISSING_PARAMS, missing_params
from mlproject.analysis.audit.checks.range_edges import BEST_AT_EDGE, best_at_edge
from mlproject.analysis.audit.checks.seed_spread import SEED_SPREAD, seed_spread
from mlproject.analysis.audit.checks.trial_states import (
    FAILED,
    MISSING_TRIALS,
    UNFINISHED,
    failed_trials,
    missing_trials,
    unfinished_trials,
)
from mlproject.analysis.audit.checks.validation_windows import (
    BASE_RATES_DIFFER,
    SKILL_OF_OTHER_WINDOWS,
    base_rates_differ,
    skill_of_other_windows,
)
from mlproject.analysis.audit.findings import Finding, FindingKind

CHECKS: Mapping[FindingKind, Callable[[AnalysedStudy], Iterable[Finding]]] = {
    MISSING_PARAMS: missing_params,
    MISSING_TRIALS: missing_trials,
    UNFINISHED: unfinished_trials,
    FAILED: failed_trials,
    UNTESTED_VALUE: untested_values,
    UNTESTED_EXTREME: untested_extremes,
    CONTRADICTION: contradictions,
    DUPLICATES: near_duplicates,
    DIVERGED: diverged_trials,
    SKILL_OF_OTHER_WINDOWS: skill_of_other_windows,
    BASE_RATES_DIFFER: base_rates_differ,
    BEST_IN_WARM_UP: best_in_warm_up,
    STOPPED_LATE: stopped_late,
    TRAINED_AFTER_BEST: trained_after_best,
    BEST_AT_EDGE: best_at_edge,
    SEED_SPREAD: seed_spread,
}
"""Every check by its kind, in the order in which findings are shown."""

COLUMNS: Mapping[str, FindingKind] = {
    "params": MISSING_PARAMS,
    "failed": FAILED,
    "unfinished": UNFINISHED,
    "diverged": DIVERGED,
    "values": UNTESTED_VALUE,
    "extremes": UNTESTED_EXTREME,
    "contradict": CONTRADICTION,
    "duplicates": DUPLICATES,
}
"""The kinds that the table of studies counts, by the headings of their columns; missing trials
stand in a column of their own, and advice below the table alone."""
