"""A plan as a person reads it."""

from collections.abc import Sequence
from datetime import timedelta

from mlproject.analysis.supplement.plan import SupplementTrial
from mlproject.models.arch_grid import Architecture
from mlproject.text.tables import aligned_lines

ARCHITECTURE_HEAD = ("d_model", "n_layers", "n_heads", "d_ff", "parameters")


def plan_text(study_name: str, trials: Sequence[SupplementTrial]) -> str:
    """The trials as a table, then what they cost in all."""
    if not trials:
        return f"{study_name}: nothing to supplement"
    head = [*ARCHITECTURE_HEAD, "learning rate", "epochs", "as trial", "about", "closes"]
    rows = [
        [
            *architecture_cells(trial.architecture),
            _cell(trial.settings.get("learning_rate"), ".2e"),
            _cell(trial.settings.get("epochs"), "d"),
            _cell(trial.settings_of, "d"),
            duration(trial.seconds),
            ", ".join(str(gap) for gap in trial.gaps),
        ]
        for trial in trials
    ]
    known = [trial.seconds for trial in trials if trial.seconds is not None]
    cost = f"about {duration(sum(known))} in all" if known else "no duration known to judge by"
    return "\n".join([f"{study_name}: {len(trials)} trials, {cost}", *aligned_lines([head, *rows])])


def architecture_cells(architecture: Architecture) -> list[str]:
    """One row of a table under `ARCHITECTURE_HEAD`."""
    a = architecture
    return [*map(str, (a.d_model, a.n_layers, a.n_heads, a.d_ff)), f"{a.param_count:,}"]


def duration(seconds: float | None) -> str:
    """Such as ``0:02:10``; ``?`` when it is not known."""
    if seconds is None:
        return "?"
    return f"{seconds:.1f} s" if seconds < 60 else str(timedelta(seconds=round(seconds)))


def _cell(value: float | None, form: str) -> str:
    return "sampled" if value is None else format(value, form)
