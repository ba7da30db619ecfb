"""The plan of a supplement as a person reads it."""

from collections.abc import Sequence
from datetime import timedelta

from mlproject.analysis.supplement.plan import SupplementTrial
from mlproject.models.arch_grid import Architecture
from mlproject.text.tables import aligned_lines

_HEAD = (
    *("d_model", "n_layers", "n_heads", "d_ff", "parameters"),
    *("learning rate", "epochs", "as trial", "about", "closes"),
)


def plan_text(study_name: str, trials: Sequence[SupplementTrial]) -> str:
    """The plan: what its trials cost in all, then a table of them."""
    if not trials:
        return f"{study_name}: nothing to supplement"
    rows = [
        [
            *_architecture_cells(trial.architecture),
            _cell(trial.settings.get("learning_rate"), ".2e"),
            _cell(trial.settings.get("epochs"), "d"),
            _cell(trial.settings_of, "d"),
            _duration(trial.seconds),
            ", ".join(str(gap) for gap in trial.gaps),
        ]
        for trial in trials
    ]
    known = [trial.seconds for trial in trials if trial.seconds is not None]
    cost = f"about {_duration(sum(known))} in all" if known else "no duration known to judge by"
    return "\n".join(
        [f"{study_name}: {len(trials)} trials, {cost}", *aligned_lines([_HEAD, *rows])]
    )


def _architecture_cells(architecture: Architecture) -> list[str]:
    a = architecture
    return [*map(str, (a.d_model, a.n_layers, a.n_heads, a.d_ff)), f"{a.param_count:,}"]


def _duration(seconds: float | None) -> str:
    """The duration, such as ``0:02:10``; ``?`` where it is not known."""
    if seconds is None:
        return "?"
    return f"{seconds:.1f} s" if seconds < 60 else str(timedelta(seconds=round(seconds)))


def _cell(value: float | None, form: str) -> str:
    return "sampled" if value is None else format(value, form)
