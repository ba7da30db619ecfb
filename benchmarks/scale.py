"""What a study costs as it grows: disk, the launcher's time, MLflow's answers.

    python benchmarks/scale.py [--sizes 10 100 1000 10000]

runs a small study in which training is replaced by twenty reports that cost nothing, on fresh
SQLite files in a temporary directory. Then it copies the trials of that study inside its own files
(Optuna's database, MLflow's, the trial log) until there are as many as each size says, and goes on
with the study for a few trials, as any launch would. Times are the process's own CPU time, since
other work may run beside it; each is given beside the same of the smallest size.
"""

import argparse
import io
import os
import re
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, redirect_stdout
from importlib import import_module
from operator import attrgetter
from pathlib import Path
from typing import Any
from unittest.mock import patch

from overhead import stub

EXPERIMENT = "scale"
STUDY = "scale_2M_h3_threshold_1pct"
MORE = 3
"""Trials that each measured launch adds."""
PAGE = 100
"""Runs that the UI asks for at once."""

PER_TRIAL = {
    "mlproject.search.search_space:SearchSpace.suggest": "the sampler's choice",
    "optuna.trial:Trial.report": "reports (20)",
    "optuna.trial:Trial.should_prune": "the pruner's looks (20)",
    "mlproject.search.trial_queue:trials_to_enqueue": "what is owed",
    "optuna.study:Study.get_trials": "the study's trials, asked for again and again",
    "mlproject.tracking.recorder:create_trial_run": "MLflow: the run made",
    "mlproject.tracking.recorder:close_trial_run": "MLflow: the run closed",
}
PER_LAUNCH = {
    "optuna.storages:RDBStorage._get_trials": "Optuna's storage read",
    "mlproject.experiments.describe:ended_trial": "trials described (thrice)",
    "mlproject.experiments.trial_log:write_missing_lines": "trial log read (twice)",
    "mlproject.tracking.live_tracking:LiveTracking._catch_up": "MLflow compared (twice)",
    "mlproject.tracking.tracked_studies:recovered_trials": "recovered trials looked for",
    "mlproject.analysis.summary.parent_run:_log_table": "table of trials",
    "mlproject.analysis.summary.figures:study_over_architectures": "study of pictures made",
    "mlproject.analysis.summary.parent_run:_log_interactive": "page of figures",
    "mlproject.analysis.summary.parent_run:_log_static": "pictures",
}
"""Functions whose time is told, and what they do."""

WHOLE = "whole"
Seconds = dict[str, float]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[10, 100, 1000, 10_000])
    sizes = sorted(parser.parse_args().sizes)
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    disk: list[tuple[int, dict[str, float]]] = []
    times: list[tuple[int, Seconds]] = []
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        os.chdir(directory)
        os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{directory}/mlflow.db"
        _quiet()
        launch(sizes[0])
        for size in sizes:
            grow(directory, size)
            disk.append((size, bytes_per_trial(directory, size)))
            times.append((size, measure(size)))
            _print(
                f"{size} trials",
                ["", "CPU seconds"],
                [[k, f"{v:.3g}"] for k, v in times[-1][1].items()],
            )
    _print(
        "Disk: kilobytes per trial",
        ["trials", *disk[0][1]],
        [[f"{size:,}", *(f"{value / 1000:.1f}" for value in row.values())] for size, row in disk],
    )
    _print(
        "CPU milliseconds",
        ["", *(f"{size:,} trials" for size, _ in times)],
        [[part, *(f"{1000 * row.get(part, 0):,.1f}" for _, row in times)] for part in times[0][1]],
    )


def launch(n_trials: int, at_each: Callable[[], None] = lambda: None) -> None:
    """Run the study until it has so many trials; call `at_each` when one asks for its params."""
    from mlproject.data.labels import parse_task
    from mlproject.experiments import objective
    from mlproject.experiments.study import run_study
    from mlproject.models.budget import parse_budget
    from mlproject.search.search_space import SearchSpace
    from mlproject.search.study_settings import StudySettings

    suggest = SearchSpace.suggest

    def watched_suggest(space: SearchSpace, trial: Any) -> Any:
        at_each()
        return suggest(space, trial)

    settings = StudySettings(
        experiment=EXPERIMENT,
        budget=parse_budget("2M"),
        horizon_days=3,
        task=parse_task("threshold_1pct"),
        n_trials=n_trials,
    )
    with (
        patch.object(SearchSpace, "suggest", watched_suggest),
        patch.object(objective, "train", stub),
        redirect_stdout(io.StringIO()),
    ):
        run_study(settings, device="cpu")


def measure(size: int) -> Seconds:
    """CPU seconds of a launch at this size, whole and by its parts, and of looking at the runs."""
    marks: list[Seconds] = []
    with timed(PER_TRIAL | PER_LAUNCH) as spent:

        def mark() -> None:
            marks.append({**spent, WHOLE: time.process_time()})

        mark()
        launch(size + MORE, mark)
        mark()
    before, first, *_, last, end = marks
    return {
        "launch, until the first trial": first[WHOLE] - before[WHOLE],
        "a trial": (last[WHOLE] - first[WHOLE]) / (MORE - 1),
        **{f"– {text}": (last[text] - first[text]) / (MORE - 1) for text in PER_TRIAL.values()},
        "the last trial and the end": end[WHOLE] - last[WHOLE],
        **{f"– {text}": end[text] - before[text] for text in PER_LAUNCH.values()},
        **_looks(),
    }


@contextmanager
def timed(functions: Mapping[str, str]) -> Iterator[Seconds]:
    """CPU seconds in functions given as ``module:name``, under the texts they are given with."""
    spent = dict.fromkeys(functions.values(), 0.0)
    with ExitStack() as patches:
        for place, text in functions.items():
            module_name, _, name = place.partition(":")
            function = attrgetter(name)(import_module(module_name))
            wrapper = _wrapped(function, text, spent)
            if "." in name:
                owner = attrgetter(name.partition(".")[0])(import_module(module_name))
                patches.enter_context(patch.object(owner, name.partition(".")[2], wrapper))
                continue
            for module in [m for n, m in sys.modules.items() if n.startswith("mlproject.")]:
                if getattr(module, name, None) is function:  # wherever it was imported to
                    patches.enter_context(patch.object(module, name, wrapper))
        yield spent


def _wrapped(function: Callable[..., Any], text: str, spent: Seconds) -> Callable[..., Any]:
    def wrapper(*arguments: Any, **more: Any) -> Any:
        began = time.process_time()
        try:
            return function(*arguments, **more)
        finally:
            spent[text] += time.process_time() - began

    return wrapper


def _looks() -> Seconds:
    """What it takes to look at the runs: the commands of this project, and the UI's first page."""
    from mlflow import MlflowClient
    from mlflow.utils.proto_json_utils import message_to_json

    from mlproject.analysis.audit import audit_experiment
    from mlproject.analysis.report import write_report
    from mlproject.analysis.report.trials import report_trials
    from mlproject.tracking.store import connect_to_read
    from mlproject.tracking.tracked_studies import read_studies

    store = connect_to_read(EXPERIMENT)
    client = MlflowClient()
    found: Seconds = {}

    def look_at(name: str, look: Callable[[], Any]) -> Any:
        began = time.process_time()
        result = look()
        found[name] = time.process_time() - began
        return result

    def page(condition: str) -> None:
        runs = client.search_runs(
            [store.experiment_id],
            condition,
            order_by=["attributes.start_time DESC"],
            max_results=PAGE,
        )
        for run in runs:
            message_to_json(run.to_proto())

    studies = look_at("all runs read, for audit and report", lambda: read_studies(store))
    look_at("audit", lambda: audit_experiment(studies))
    with tempfile.TemporaryDirectory() as folder:
        look_at("report", lambda: write_report(report_trials(studies), Path(folder)))
    look_at("UI: first page", lambda: page(""))
    look_at("UI: a search by size", lambda: page("metrics.param_count < 2000000"))
    return found


def grow(directory: Path, size: int) -> None:
    """Copy trials inside the study's own files until there are `size`."""
    with closing(sqlite3.connect(directory / "optuna.db")) as optuna_db:
        (there,) = optuna_db.execute("SELECT count(*) FROM trials").fetchone()
        if size <= there:
            return
        copies, rest = divmod(size, there)
        _steps(optuna_db, copies - 1)
        _copy_trials(optuna_db, there, rest, copies)
    with closing(sqlite3.connect(directory / "mlflow.db")) as mlflow_db:
        _steps(mlflow_db, copies - 1)
        _copy_runs(mlflow_db, there, rest, copies)
    _copy_log(directory / "trial_logs" / f"{STUDY}.log", there, size)


def _steps(database: sqlite3.Connection, copies: int) -> None:
    database.execute("CREATE TEMP TABLE copies (nth INTEGER)")
    database.executemany("INSERT INTO copies VALUES (?)", [(n,) for n in range(1, copies + 2)])


def _copy_trials(database: sqlite3.Connection, there: int, rest: int, copies: int) -> None:
    (stride,) = database.execute("SELECT max(trial_id) FROM trials").fetchone()
    database.execute(
        "CREATE TEMP TABLE sources AS SELECT trial_id, nth FROM trials, copies "
        f"WHERE nth < {copies} OR number < {rest}"
    )
    tables = ("params", "values", "intermediate_values", "user_attributes", "system_attributes")
    changed = {"trial_id": f"trial_id + nth * {stride}", "number": f"number + nth * {there}"}
    for table in ("trials", *(f"trial_{name}" for name in tables)):
        own_key = None if table == "trials" else _columns(database, table)[0]
        columns = [name for name in _columns(database, table) if name != own_key]
        values = ", ".join(changed.get(name, name) for name in columns)
        names = ", ".join(columns)
        database.execute(
            f"INSERT INTO {table} ({names}) "
            f"SELECT {values} FROM {table} JOIN sources USING (trial_id)"
        )
    database.commit()


def _copy_runs(database: sqlite3.Connection, there: int, rest: int, copies: int) -> None:
    database.execute(
        "CREATE TEMP TABLE sources AS "
        "SELECT run_uuid, nth, lower(hex(randomblob(16))) AS new_uuid FROM tags, copies "
        "WHERE key = 'trial_number' "
        f"AND (nth < {copies} OR CAST(value AS INTEGER) < {rest})"
    )
    number = f"CAST(CAST(value AS INTEGER) + nth * {there} AS TEXT)"
    renumbered = f"CASE key WHEN 'trial_number' THEN {number} ELSE value END"
    for table in ("runs", "params", "metrics", "latest_metrics", "tags"):
        changed = {"run_uuid": "new_uuid"} | ({"value": renumbered} if table == "tags" else {})
        columns = _columns(database, table)
        database.execute(
            f"INSERT INTO {table} ({', '.join(columns)}) "
            f"SELECT {', '.join(changed.get(name, name) for name in columns)} "
            f"FROM {table} JOIN sources USING (run_uuid)"
        )
    database.commit()


def _columns(database: sqlite3.Connection, table: str) -> list[str]:
    return [row[1] for row in database.execute(f"PRAGMA table_info({table})")]


def _copy_log(path: Path, there: int, size: int) -> None:
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    of_trials = [(line, int(m[1])) for line in lines if (m := re.search(r"Trial (\d+)[: ]", line))]
    with path.open("a", encoding="utf-8") as log:
        for offset in range(there, size, there):
            for line, number in of_trials:
                if number + offset < size:
                    log.write(line.replace(f"Trial {number}", f"Trial {number + offset}", 1))


def bytes_per_trial(directory: Path, size: int) -> dict[str, float]:
    """The files of the study."""
    files = {
        "optuna.db": "optuna.db",
        "mlflow.db": "mlflow.db",
        "trial log": f"trial_logs/{STUDY}.log",
    }
    for path in directory.glob("*.db"):
        with closing(sqlite3.connect(path)) as database:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return {name: (directory / path).stat().st_size / size for name, path in files.items()}


def _quiet() -> None:
    import logging

    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    logging.getLogger("mlflow").setLevel(logging.WARNING)


def _print(title: str, head: list[str], rows: list[list[str]]) -> None:
    print(f"\n{title}\n\n| {' | '.join(head)} |\n|{'---|' * len(head)}")
    for row in rows:
        print(f"| {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
