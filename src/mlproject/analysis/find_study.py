"""How a study is looked up by its name among those that an experiment holds."""

from mlproject.errors import UserError
from mlproject.tracking.tracked_studies import TrackedExperiment, TrackedStudy


class NoSuchStudy(UserError):
    """The experiment does not hold the study."""


def find_study(experiment: TrackedExperiment, name: str, *, to: str) -> TrackedStudy:
    """Return the study called `name`; `to` is what is to be done with it, such as ``supplement``.

    Raises:
        NoSuchStudy: there is none of this name.
    """
    found = next((study for study in experiment.studies if study.study_name == name), None)
    if found is None:
        there = ", ".join(study.study_name for study in experiment.studies) or "no study at all"
        raise NoSuchStudy(
            f"no study {name!r} in experiment {experiment.name!r}: there is {there}; "
            f"run the study, or recover its log, before you {to} it"
        )
    return found
