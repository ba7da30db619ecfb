"""Which run, which experiment and which study are meant by a launch: decided here and nowhere else.

*The launch's own run* is the one that `mlflow run` made for it. MLFLOW_RUN_ID names it, but a
notebook or a shell may have exported any run there, or hand on another program's.

| row | MLFLOW_RUN_ID | the launch's own run |
|---|---|---|
| 1 | is not set | none |
| 2 | a RUNNING run of `mlflow run` with an entry point of this project, not in use | it |
| 3 | unknown to the store | none, said; refused if MLFLOW_TRACKING_URI is a relative path, which |
|   | | `mlflow run` reads in another folder than its child |
| 4 | a deleted run, or one that has ended | none, said |
| 5 | a run that `mlflow run` did not make, or made for another project | none, said |
| 6 | a trial, a study, an analysis, or a launch of a study | none, said |
| 7 | a run with another budget, horizon or task than the study's | none, said |

*The experiment* of a launch:

| row | what is said | the experiment |
|---|---|---|
| 8 | `--experiment`, and the launch's own run is elsewhere | refused; an analysis takes it |
| 9 | `--experiment` | it, whatever the environment says |
| 10 | the launch has its own run (`mlflow run --experiment-name`) | that of the run |
| 11 | MLFLOW_EXPERIMENT_NAME | it; refused if MLFLOW_EXPERIMENT_ID is that of another |
| 12 | MLFLOW_EXPERIMENT_ID | it; refused if there is none |
| 13 | nothing | ``phase6a`` |

*The study's parent run* in it is a run with its `study_name` and no `trial_number`:

| row | such runs | the parent |
|---|---|---|
| 14 | none | the launch's own run, else a new one |
| 15 | one, at the top or inside any outer run | it |
| 16 | several (one was deleted, and restored later) | that with most trials, of those the oldest; |
|    | | the others are named |
| 17 | none but a deleted one, whose trials are left | as 14; the trials are hung under it |
| 18 | none, but one with another experiment's name (this one was renamed, or is a copy) | it: the |
|    | | study goes on under the name that it began with, said; refused if there are several |
| 19 | none, but one in another experiment (it was renamed, and the launch was not) | refused |
|    | | where the study's storage holds trials: all of them would be written twice |

Which of the parent's runs is a trial's is in `known_runs`: by a tag, so that copies of a store, in
which runs have other ids and other starts, double nothing.
"""

import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException

from mlproject.data.labels import parse_horizon, parse_task
from mlproject.errors import UserError
from mlproject.models.budget import parse_budget
from mlproject.text.sqlite_urls import sqlite_file
from mlproject.tracking.experiment_names import (
    DEFAULT_EXPERIMENT,
    ID_VARIABLE,
    NAME_VARIABLE,
    RUN_VARIABLE,
)
from mlproject.tracking.names import (
    ANALYSIS_TAG,
    LAUNCH_OF_TAG,
    PARENT_RUN_ID_TAG,
    Origin,
    Param,
    Tag,
)

URI_VARIABLE = "MLFLOW_TRACKING_URI"

_ENTRY_POINTS = ("main", "backfill", "audit", "supplement", "report", "evaluate", "regenerate")
_SOURCE_TYPE_TAG, _ENTRY_POINT_TAG = "mlflow.source.type", "mlflow.project.entryPoint"
_UNKNOWN = ("RESOURCE_DOES_NOT_EXIST", "NOT_FOUND", "INVALID_PARAMETER_VALUE")

_logger = logging.getLogger(__name__)


class ExperimentConflict(UserError):
    """The experiment asked for is not the one that this process has to use, or is deleted."""


class AnotherStore(UserError):
    """The run that `mlflow run` made is not in the store that this process was given."""


@dataclass(frozen=True, kw_only=True)
class OwnRun:
    """The launch's own run, or why the run that the environment names is none."""

    run: Run | None
    left_alone: str | None = None
    """A line to be shown; None where there is nothing to say."""


def own_run(
    client: MlflowClient, environment: Mapping[str, str], suffix: str | None = None
) -> OwnRun:
    """Return the run that `mlflow run` made for this launch, if it did (rows 1 to 7).

    Args:
        client: of the store.
        environment: variables of this process.
        suffix: of the name of the study to be launched, without its experiment; None for an
            analysis.

    Raises:
        AnotherStore: the run is not in this store, whose URI depends on the working directory.
    """
    run_id = environment.get(RUN_VARIABLE)
    if not run_id:
        return OwnRun(run=None)
    try:
        run = client.get_run(run_id)
    except MlflowException as error:
        if error.error_code not in _UNKNOWN:
            raise
        refuse_relative_store(environment, is_missing=True)
        reason = "there is no such run in this store"
    else:
        found = _not_ours(run, suffix)
        if found is None:
            return OwnRun(run=run)
        reason = found
    return OwnRun(run=None, left_alone=f"{RUN_VARIABLE}={run_id} is left alone: {reason}")


def refuse_relative_store(environment: Mapping[str, str], *, is_missing: bool = False) -> None:
    """Refuse a relative SQLite file as the store of a run that `mlflow run` has made elsewhere.

    Nothing may have been opened there before: that would leave an empty file behind.

    Args:
        environment: variables of this process.
        is_missing: whether the run is known not to be there; else the file may not be.

    Raises:
        AnotherStore: says how to name the file.
    """
    uri = environment.get(URI_VARIABLE, "")
    file = sqlite_file(uri)
    if file is None or file.is_absolute() or not environment.get(RUN_VARIABLE):
        return
    if is_missing or not file.exists():
        raise AnotherStore(
            f"{URI_VARIABLE}={uri} is relative to the folder in which 'mlflow run' was called, and "
            f"the project runs in another: give the whole path, such as "
            f"{URI_VARIABLE}=sqlite:///$PWD/{file}"
        )


def _not_ours(run: Run, suffix: str | None) -> str | None:
    """Say why a run is not this launch's own; None if it is."""
    tags = run.data.tags
    entry_point = tags.get(_ENTRY_POINT_TAG, "")
    is_project = tags.get(_SOURCE_TYPE_TAG) == "PROJECT" and _is_entry_point(entry_point)
    is_of_study = suffix is None or _is_of_study(run, entry_point, suffix)
    reasons = {
        "it is deleted": run.info.lifecycle_stage != "active",
        f"it is {run.info.status}": run.info.status != "RUNNING",
        "it is the run of a trial": Tag.TRIAL_NUMBER in tags,
        f"it is that of study {tags.get(Tag.STUDY_NAME)}": Tag.STUDY_NAME in tags,
        f"it is a launch of study {tags.get(LAUNCH_OF_TAG)}": LAUNCH_OF_TAG in tags,
        f"it holds an analysis ({tags.get(ANALYSIS_TAG)})": ANALYSIS_TAG in tags,
        "'mlflow run' did not make it for this project": not is_project,
        "it was made for another budget, horizon or task": not is_of_study,
    }
    return next((reason for reason, holds in reasons.items() if holds), None)


def _is_entry_point(name: str) -> bool:
    return name in _ENTRY_POINTS or name.endswith(".py")


def _is_of_study(run: Run, entry_point: str, suffix: str) -> bool:
    """Tell whether `mlflow run` was asked for this study: it logs parameters as they were typed."""
    if entry_point.endswith(".py"):
        return PurePath(entry_point).stem.endswith(suffix)
    params = run.data.params
    try:
        budget = parse_budget(params[Param.BUDGET])
        horizon = parse_horizon(params[Param.HORIZON])
        task = parse_task(params[Param.TASK]).name if Param.TASK in params else ""
    except (KeyError, UserError):
        return False
    return suffix.startswith(f"{budget.name}_h{horizon}_") and suffix.endswith(task)


def experiment_of_launch(
    client: MlflowClient,
    environment: Mapping[str, str],
    own: Run | None,
    asked: str | None = None,
    *,
    may_differ: bool = False,
) -> str:
    """Return the name of the launch's experiment, which may not exist yet (rows 8 to 13).

    Raises:
        ExperimentConflict: what is said of it does not agree, or names none.
    """
    launched_in = None if own is None else _name_of(client, own.info.experiment_id)
    if asked is not None:
        if launched_in not in (None, asked) and not may_differ:
            raise ExperimentConflict(
                f"experiment {asked!r} was asked for, but 'mlflow run' runs in {launched_in!r}: "
                f"give 'mlflow run' the option --experiment-name {asked}"
            )
        return asked
    if launched_in is not None:
        return launched_in
    name, experiment_id = environment.get(NAME_VARIABLE), environment.get(ID_VARIABLE)
    if not experiment_id:
        return name or DEFAULT_EXPERIMENT
    of_id = _name_of(client, experiment_id)
    if name and of_id not in (None, name):
        raise ExperimentConflict(
            f"{NAME_VARIABLE} is {name!r}, but {ID_VARIABLE}={experiment_id} is experiment "
            f"{of_id!r}: unset one of the two, or give --experiment"
        )
    if not name and of_id is None:
        raise ExperimentConflict(
            f"{ID_VARIABLE}={experiment_id} names no experiment of this store: unset it, or give "
            "--experiment"
        )
    return name or str(of_id)


def _name_of(client: MlflowClient, experiment_id: str) -> str | None:
    try:
        return str(client.get_experiment(experiment_id).name)
    except MlflowException as error:
        if error.error_code in _UNKNOWN:
            return None
        raise


def find_parents(client: MlflowClient, experiment_id: str, study_name: str) -> list[Run]:
    """Find the runs that are called the study's parent, its own first (rows 14 to 16).

    Raises:
        ValueError: the name holds a quote, which MLflow's search language would end the name at.
    """
    if "'" in study_name:
        raise ValueError(f"no study is called {study_name!r}")
    parents = list(
        client.search_runs(
            [experiment_id],
            f"tags.{Tag.STUDY_NAME} = '{study_name}' AND tags.{Tag.TRIAL_NUMBER} IS NULL",
        )
    )
    if len(parents) < 2:
        return parents
    return rank_parents(parents, _trials_of(client, experiment_id, study_name))


def rank_parents(parents: Sequence[Run], trials: Iterable[Run]) -> list[Run]:
    """Sort runs that are called one study's parent: the study's own comes first (row 16)."""
    held = Counter(run.data.tags.get(PARENT_RUN_ID_TAG) for run in trials)
    return sorted(parents, key=lambda p: (-held[p.info.run_id], p.info.start_time, p.info.run_id))


def is_parent(run: Run) -> bool:
    """Tell whether a run is a study's parent, wherever it hangs."""
    return Tag.STUDY_NAME in run.data.tags and Tag.TRIAL_NUMBER not in run.data.tags


def hang_orphans(client: MlflowClient, parent: Run, study_name: str) -> int:
    """Hang the trials that a deleted parent has left under the new one (row 17); how many."""
    orphans = _trials_of(client, parent.info.experiment_id, study_name)
    for run in orphans:
        client.set_tag(run.info.run_id, PARENT_RUN_ID_TAG, parent.info.run_id)
    return len(orphans)


def begun_in(client: MlflowClient, experiment_id: str, study_name: str, suffix: str) -> str | None:
    """Return the experiment's name as the study began in it, where that is another (row 18).

    Raises:
        ExperimentConflict: several studies may be meant.
    """
    if find_parents(client, experiment_id, study_name):
        return None
    alike = client.search_runs(
        [experiment_id],
        f"tags.{Tag.STUDY_NAME} LIKE '%{suffix}' AND tags.{Tag.TRIAL_NUMBER} IS NULL",
    )
    begun = {
        run.data.tags[Tag.STUDY_NAME]: run.data.params["experiment"]
        for run in alike
        if run.data.tags[Tag.STUDY_NAME].endswith(f"_{suffix}")
        and run.data.tags.get(Tag.ORIGIN) != Origin.LOG
        and "experiment" in run.data.params
    }
    if len(begun) > 1:
        raise ExperimentConflict(
            f"there is no study {study_name} in this experiment, but there are "
            f"{', '.join(sorted(begun))}: give the experiment the name of one again, or start "
            "the new study in an experiment of its own"
        )
    for name, experiment in begun.items():
        _logger.warning(
            "the experiment was called %s when study %s began in it: the study goes on under that "
            "name",
            experiment,
            name,
        )
        return experiment
    return None


def begun_elsewhere(client: MlflowClient, study_name: str) -> list[str]:
    """Name the experiments in which a live study of this name has its parent (row 19)."""
    experiments = {each.experiment_id: each.name for each in client.search_experiments()}
    parents = client.search_runs(
        [*experiments],
        f"tags.{Tag.STUDY_NAME} = '{study_name}' AND tags.{Tag.TRIAL_NUMBER} IS NULL",
    )
    live = [run for run in parents if run.data.tags.get(Tag.ORIGIN) != Origin.LOG]
    return sorted({str(experiments[run.info.experiment_id]) for run in live})


def _trials_of(client: MlflowClient, experiment_id: str, study_name: str) -> list[Run]:
    runs: list[Run] = []
    token: str | None = None
    while True:
        page = client.search_runs(
            [experiment_id],
            f"tags.{Tag.STUDY_NAME} = '{study_name}' AND tags.{Tag.TRIAL_NUMBER} IS NOT NULL",
            max_results=1000,
            page_token=token,
        )
        runs.extend(page)
        token = page.token
        if not token:
            return runs
