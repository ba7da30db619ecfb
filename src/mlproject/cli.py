"""The command line: the verbs of MLproject's entry points, one thin function each.

Heavy imports stand inside the commands, so that a mistyped option is answered at once.
"""

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from mlproject.command_line import run_command_line
from mlproject.training.openmp import shorten_idle_spinning

if TYPE_CHECKING:
    from mlproject.experiments.settings import StudySettings
    from mlproject.tracking.store import Connection

FINDINGS_EXIT_CODE = 1

STORAGE_VARIABLE = "MLPROJECT_STORAGE"
"""The storage URL may come from the environment, since `mlflow run` logs its parameters."""


_EXPERIMENT_TO_READ = click.option(
    "--experiment",
    envvar="MLFLOW_EXPERIMENT_NAME",
    help="MLflow experiment to look at.  [default: phase6a]",
)


@click.group()
@click.option("--debug", is_flag=True, help="Show stack traces.")
def cli(debug: bool) -> None:
    """Search the best transformer at a fixed parameter budget, tracked in MLflow."""
    logging.basicConfig(
        level=logging.DEBUG if debug else logging.WARNING, format="%(levelname)s: %(message)s"
    )


_OF_A_STUDY = (
    click.option("--budget", required=True, help="2M, 20M, 200M, 2B, or any count such as 750k."),
    click.option("--horizon", required=True, help="Days within which the price has to rise."),
    click.option("--task", default="threshold_1pct", show_default=True, help="threshold_Npct."),
    click.option(
        "--max-epochs",
        type=int,
        default=0,
        show_default=True,
        help="Cap on the epochs; 0 is none.",
    ),
    click.option(
        "--data",
        default="sp500",
        show_default=True,
        help="sp500, or a CSV or Parquet file of bars.",
    ),
    click.option(
        "--label-price", type=click.Choice(["close", "high"]), default="close", show_default=True
    ),
    click.option(
        "--storage",
        help=f"Optuna storage URL.  [default: {STORAGE_VARIABLE}, "
        "or optuna.db beside MLflow's file]",
    ),
    click.option("--seed", type=int, default=0, show_default=True),
    click.option(
        "--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1, mps."
    ),
    click.option(
        "--experiment",
        envvar="MLFLOW_EXPERIMENT_NAME",
        help="MLflow experiment; under `mlflow run`, its --experiment-name.  [default: phase6a]",
    ),
)


def _of_a_study(command: Any) -> Any:
    for option in reversed(_OF_A_STUDY):
        command = option(command)
    return command


@cli.command()
@click.option(
    "--n-trials", type=int, default=50, show_default=True, help="Trials of the study in all."
)
@_of_a_study
def study(n_trials: int, **options: Any) -> None:
    """Launch a study, or resume it where it stands."""
    from mlproject.experiments.study import run_study

    settings, connection = _settings_and_connection(options, n_trials)
    outcome = run_study(settings, connection, **_surroundings(options))
    best = outcome.best_trial
    click.echo(f"study      {outcome.study_name}: {outcome.finished} trials finished")
    if best is not None:
        click.echo(f"best       trial {best.number}, validation loss {best.value:.4f}")
    click.echo(f"trial log  {outcome.trial_log}")
    click.echo(f"MLflow     experiment {connection.experiment_name}, run {outcome.parent_run_id}")


@cli.command()
@_of_a_study
@click.option(
    "--trials-per-value",
    type=click.IntRange(min=1),
    default=3,
    show_default=True,
    help="Trials for each value that was never tested.",
)
@click.option(
    "--dry-run",
    type=bool,
    is_flag=False,
    flag_value="true",
    default=False,
    show_default=True,
    help="Show the trials and what they cost; run none.",
)
def supplement(trials_per_value: int, dry_run: bool, **options: Any) -> None:
    """Run the few forced trials that close the gaps an audit finds in a study."""
    from mlproject.experiments.study import run_study
    from mlproject.experiments.supplement.prepare import prepare_supplement
    from mlproject.experiments.supplement.render import plan_text
    from mlproject.tracking.analysis_run import keep_launch, view_of
    from mlproject.tracking.tracked_studies import read_studies

    settings, connection = _settings_and_connection(options)
    view = view_of(connection, connection.experiment_name)
    found = prepare_supplement(read_studies(view), settings, trials_per_value=trials_per_value)
    text = plan_text(settings.study_name, found.trials)
    click.echo(text)
    if dry_run:
        keep_launch(view, "supplement plan", texts={"supplement.txt": text})
        return
    outcome = run_study(
        found.settings, connection, supplement=found.owed_trials, **_surroundings(options)
    )
    click.echo(f"supplement {outcome.study_name}: done, run {outcome.parent_run_id}")


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


@cli.command("supplement-plan")
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    default="docs/hpo_supplemental_tests.md",
    show_default=True,
)
def supplement_plan(output: Path) -> None:
    """Write what the twelve earlier studies cannot have tried, and the trials that close it."""
    from mlproject.experiments.supplement.document import supplement_document
    from mlproject.experiments.written_files import write_text

    write_text(output, supplement_document())
    click.echo(f"wrote {output}")


def _settings_and_connection(
    options: dict[str, Any], n_trials: int = 1
) -> "tuple[StudySettings, Connection]":
    """What the options of a study say; everything that can be read is checked before MLflow is."""
    from mlproject.data.labels import parse_horizon, parse_task
    from mlproject.experiments.settings import StudySettings
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
        n_trials=n_trials,
        max_epochs=options["max_epochs"],
        seed=options["seed"],
    )
    return settings, connection


def _surroundings(options: dict[str, Any]) -> dict[str, Any]:
    """Where a study finds its data, its storage and its device."""
    return {
        "data_source": options["data"],
        # `mlflow run` passes every parameter, an unset one as an empty text.
        "storage_url": options["storage"] or os.environ.get(STORAGE_VARIABLE),
        "device": options["device"],
    }


def main() -> NoReturn:
    """Run the command line."""
    shorten_idle_spinning()
    run_command_line(cli)
