"""Architecture search of transformers at a fixed parameter budget, tracked in MLflow.

What the commands do, as functions (docs/python.md):

    >>> import mlproject
    >>> settings = mlproject.StudySettings.parse("2M", horizon=3)
    >>> settings.study_name
    'phase6a_2M_h3_threshold_1pct'

Each name is imported from where it is defined when it is first used, so that this import costs
nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlproject.analysis.audit.audit import AuditOutcome, audit
    from mlproject.analysis.evaluation.evaluate import Evaluated, evaluate
    from mlproject.analysis.report.report import ReportOutcome, report
    from mlproject.data.bars import Bars, load_bars
    from mlproject.data.load_markets import load_markets
    from mlproject.data.markets import Markets
    from mlproject.errors import UserError
    from mlproject.experiments.study import StudyOutcome, run_study
    from mlproject.experiments.supplement import SupplementOutcome, supplement
    from mlproject.experiments.templates import generate_hpo_script
    from mlproject.experiments.workers.settings import WorkerSettings
    from mlproject.models.arch_grid import Architecture, ArchitectureGrid, architecture_grid
    from mlproject.search.study_settings import StudySettings

__version__ = "0.1.0"

__all__ = [
    "Architecture",
    "ArchitectureGrid",
    "AuditOutcome",
    "Bars",
    "Evaluated",
    "Markets",
    "ReportOutcome",
    "StudyOutcome",
    "StudySettings",
    "SupplementOutcome",
    "UserError",
    "WorkerSettings",
    "architecture_grid",
    "audit",
    "evaluate",
    "generate_hpo_script",
    "load_bars",
    "load_markets",
    "report",
    "run_study",
    "supplement",
]

_DEFINED_IN = {
    "mlproject.analysis.audit.audit": ("AuditOutcome", "audit"),
    "mlproject.analysis.evaluation.evaluate": ("Evaluated", "evaluate"),
    "mlproject.analysis.report.report": ("ReportOutcome", "report"),
    "mlproject.data.bars": ("Bars", "load_bars"),
    "mlproject.data.load_markets": ("load_markets",),
    "mlproject.data.markets": ("Markets",),
    "mlproject.errors": ("UserError",),
    "mlproject.experiments.study": ("StudyOutcome", "run_study"),
    "mlproject.experiments.supplement": ("SupplementOutcome", "supplement"),
    "mlproject.experiments.templates": ("generate_hpo_script",),
    "mlproject.experiments.workers.settings": ("WorkerSettings",),
    "mlproject.models.arch_grid": ("Architecture", "ArchitectureGrid", "architecture_grid"),
    "mlproject.search.study_settings": ("StudySettings",),
}
_MODULES = {name: module for module, names in _DEFINED_IN.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_MODULES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
