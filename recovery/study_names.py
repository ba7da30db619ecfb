"""How old studies were named, and what a name tells of its study.

The old program named a study ``phase6a_2M_h1_threshold_1pct`` and gave Optuna that name with the
budget once more at its end, ``phase6a_2M_h1_threshold_1pct_2M``. The rule: a last part that
repeats the budget inside the name is dropped. The name as it was logged is kept in a tag.
"""

import re
from dataclasses import dataclass

from mlproject.models.budget import Budget, UnknownBudget, parse_budget

OLD_PREFIX = "phase6a"
"""The old runner only ran this phase; its script names leave the phase out."""

MAX_NAME_CHARACTERS = 200
_SAFE_NAME = re.compile(r"[A-Za-z0-9_.\- ]+", re.ASCII)
_STUDY = re.compile(
    r"(.+?)_([0-9.]+[kKMB]?)_h(\d{1,4})_(threshold_\d{1,3}(?:\.\d{1,3})?pct)", re.ASCII
)
_SCRIPT = re.compile(
    r"hpo_([0-9.]+[kKMB]?)_h(\d{1,4})_(threshold_\d{1,3}(?:\.\d{1,3})?pct)\.py", re.ASCII
)


@dataclass(frozen=True, kw_only=True)
class StudyFacts:
    """What the name of a study tells; None where it tells nothing."""

    budget: Budget | None = None
    horizon_days: int | None = None
    task: str | None = None


def is_safe(name: str) -> bool:
    """Whether it can name a study: it goes into file names and into MLflow's search language."""
    return len(name) <= MAX_NAME_CHARACTERS and _SAFE_NAME.fullmatch(name) is not None


def from_logged_name(name: str) -> str | None:
    """The study's name from the one that Optuna logged; None if it can name nothing."""
    if not is_safe(name):
        return None
    head, _, last = name.rpartition("_")
    match = _STUDY.fullmatch(head)
    return head if match and match[2] == last else name


def from_script(script: str) -> str | None:
    """The study's name from the script that ran it; None if the script is not a study's."""
    match = _SCRIPT.fullmatch(script)
    return f"{OLD_PREFIX}_{match[1]}_h{match[2]}_{match[3]}" if match else None


def facts_of(study_name: str) -> StudyFacts:
    """Budget, horizon and task, if the name has the form that holds them."""
    match = _STUDY.fullmatch(study_name)
    if not match:
        return StudyFacts()
    try:
        budget = parse_budget(match[2])
    except UnknownBudget:
        return StudyFacts()
    return StudyFacts(budget=budget, horizon_days=int(match[3]), task=match[4])
