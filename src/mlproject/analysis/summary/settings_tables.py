"""The settings of a study in its note: what its parent run lists as fifty params, by subject."""

from collections.abc import Callable, Mapping

from mlproject.text.escaping import for_markdown

_LONGEST_VALUE = 200
_STUDY = (
    *("experiment", "budget", "horizon", "task", "label_price", "n_trials", "max_epochs"),
    *("max_steps", "batch_size", "seed"),
)
_DATA = (
    *("data", "data_digest", "source_shape", "columns", "volume", "bad_markets", "n_markets"),
    *("n_features", "train_windows", "validation_windows", "test_windows", "validation"),
    "train_base_rate",
)
_SEARCH = (
    *("grid_version", "n_architectures", "forced_extremes", "search_space", "sampler", "pruner"),
)
_PLAN = (
    *("plan.optimiser", "plan.precision", "optimiser", "precision", "device", "workers"),
    *("ray_address", "gpus_per_trial", "storage"),
)

_SUBJECTS: Mapping[str, Callable[[str], bool]] = {
    "The study": lambda name: name in _STUDY,
    "Data": lambda name: name in _DATA,
    "Search": lambda name: name in _SEARCH or name.startswith("search."),
    "Plan (the whole of it: memory_plan.txt)": lambda name: name in _PLAN,
    "Versions": lambda name: name.startswith("version."),
}
_ORDER = {name: place for place, name in enumerate((*_STUDY, *_DATA, *_SEARCH, *_PLAN))}
_OTHERS = "Others"


def settings_in_words(params: Mapping[str, str]) -> list[str]:
    """Lines of Markdown: a table for each subject, by the names that the params have.

    What nobody gave a value is left out; what belongs to no subject stands at the end.
    """
    by_subject: dict[str, list[str]] = {subject: [] for subject in (*_SUBJECTS, _OTHERS)}
    for name in sorted(params, key=lambda name: (_ORDER.get(name, len(_ORDER)), name)):
        if params[name].strip("' "):  # `mlflow run` quotes even nothing
            by_subject[_subject_of(name)].append(name)
    lines = []
    for subject, names in by_subject.items():
        if names:
            lines += ["", f"**{subject}**", "", "| param | value |", "|---|---|"]
            lines += [f"| {_cell(name)} | {_cell(params[name])} |" for name in names]
    return lines


def _subject_of(name: str) -> str:
    return next((subject for subject, holds in _SUBJECTS.items() if holds(name)), _OTHERS)


def _cell(text: str) -> str:
    shown = text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"
    return for_markdown(shown).replace("|", "\\|")
