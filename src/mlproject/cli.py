"""The command line: the verbs of MLproject's entry points, one thin function each.

Heavy imports stand inside the commands, so that a mistyped option is answered at once.
"""

import logging
import os
from typing import Any, NoReturn

import click

from mlproject.command_line import run_command_line
from mlproject.training.openmp import shorten_idle_spinning

FINDINGS_EXIT_CODE = 1

STORAGE_VARIABLE = "MLPROJECT_STORAGE"
"""The storage URL may come from the environment, since `mlflow run` logs its parameters."""


_EXPERIMENT_TO_READ = click.option(
    "--experiment",
    envvar="MLFLOW_EXPERIMENT_NAME",
    help="MLflow experiment to look at.  [default: that of `mlflow run`, or phase6a]",
)


@click.group()
@click.option("--debug", is_flag=True, help="Show stack traces.")
def cli(debug: bool) -> None:
    """Search the best transformer at a fixed parameter budget, tracked in MLflow."""
    logging.basicConfig(
        level=logging.DEBUG if debug else logging.WARNING, format="%(levelname)s: %(message)s"
    )


@cli.command()
@click.option("--budget", required=True, help="2M, 20M, 200M, 2B, or any count such as 750k.")
@click.option("--horizon", required=True, help="Days within which the price has to rise.")
@click.option("--task", default="threshold_1pct", show_default=True, help="threshold_Npct.")
@click.option(
    "--n-trials", type=int, default=50, show_default=True, help="Trials of the study in all."
)
@click.option(
    "--max-epochs", type=int, default=0, show_default=True, help="Cap on the epochs; 0 is none."
)
@click.option(
    "--data", default="sp500", show_default=True, help="sp500, or a CSV or Parquet file of bars."
)
@click.option(
    "--label-price", type=click.Choice(["close", "high"]), default="close", show_default=True
)
@click.option(
    "--storage",
    help=f"Optuna storage URL.  [default: {STORAGE_VARIABLE}, or optuna.db beside MLflow's file]",
)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1, mps.")
@click.option(
    "--experiment",
    envvar="MLFLOW_EXPERIMENT_NAME",
    help="MLflow experiment; under `mlflow run`, its --experiment-name.  [default: phase6a]",
)
def study(**options: Any) -> None:
    """Launch a study, or resume it where it stands."""
    from mlproject.data.labels import parse_horizon, parse_task
    from mlproject.experiments.settings import StudySettings
    from mlproject.experiments.study import run_study
    from mlproject.models.budget import parse_budget
    from mlproject.tracking.store import connect

    budget = parse_budget(options["budget"])
    horizon_days = parse_horizon(options["horizon"])
    task = parse_task(options["task"])
    connection = connect(options["experiment"])
    settings = StudySettings(
        experiment=connection.experiment_name,
        budget=budget,
        horizon_days=horizon_days,
        task=task,
        label_price=options["label_price"],
        n_trials=options["n_trials"],
        max_epochs=options["max_epochs"],
        seed=options["seed"],
    )
    outcome = run_study(
        settings,
        connection,
        data_source=options["data"],
        # `mlflow run` passes every parameter, an unset one as an empty text.
        storage_url=options["storage"] or os.environ.get(STORAGE_VARIABLE),
        device=options["device"],
    )
    best = outcome.best_trial
    click.echo(f"study      {outcome.study_name}: {outcome.finished} trials finished")
    if best is not None:
        click.echo(f"best       trial {best.number}, validation loss {best.value:.4f}")
    click.echo(f"trial log  {outcome.trial_log}")
    click.echo(f"MLflow     experiment {connection.experiment_name}, run {outcome.parent_run_id}")


@cli.command()
@_EXPERIMENT_TO_READ
@click.option(
    "--planned-trials",
    type=click.IntRange(min=1),
    default=50,
    show_default=True,
    help="Trials a study should have where its runs do not say.",
)
def audit(experiment: str | None, planned_trials: int) -> int:
    """Say what is wrong or missing in the studies of an experiment.

    Exits with 1 when there is something to act on. A table, Markdown and JSON are kept as artifacts
    of a run of its own.
    """
    from mlproject.experiments.audit import audit_experiment
    from mlproject.experiments.audit.render import as_json, as_markdown, as_text, summary
    from mlproject.tracking.analysis_run import keep_texts, open_analysis_run, view_experiment
    from mlproject.tracking.tracked_studies import read_studies

    view = view_experiment(experiment or None)
    found = audit_experiment(read_studies(view), default_planned=planned_trials)
    text = as_text(found)
    click.echo(text)
    run_id = open_analysis_run(view, "audit")
    texts = {"audit.txt": text, "audit.md": as_markdown(found), "audit.json": as_json(found)}
    keep_texts(view, run_id, texts=texts, note=summary(found))
    click.echo(f"kept as artifacts of run {run_id}")
    return 0 if found.is_clean else FINDINGS_EXIT_CODE


def main() -> NoReturn:
    """Run the command line."""
    shorten_idle_spinning()
    run_command_line(cli)
