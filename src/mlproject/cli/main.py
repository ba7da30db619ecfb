"""The command line: the verbs of MLproject's entry points, one thin function each.

Heavy imports stand inside the commands, so that a mistyped option is answered at once.
"""

import logging
import os
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import click

from mlproject.cli.options import (
    explicit_experiment,
    how_it_runs,
    how_it_searches,
    launch_study,
    markets_of,
    on_device,
    say_where,
    study_settings,
    surroundings,
    which_data,
    which_study,
    which_versions,
)
from mlproject.cli.run import run_command_line
from mlproject.models.budget import NAMED_BUDGETS
from mlproject.text.escaping import for_terminal
from mlproject.tracking.experiment_names import RUN_VARIABLE
from mlproject.training.system.environment import set_torch_environment

FINDINGS_EXIT_CODE = 1

_HORIZONS_DAYS = (1, 3, 5)
"""Those of the twelve studies, whose scripts are in ``experiments/phase6a``."""

_EXPERIMENT_TO_READ = click.option(
    "--experiment",
    callback=explicit_experiment,
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
@which_study
@which_versions
@how_it_searches
@how_it_runs
def study(**options: Any) -> None:
    """Launch a study, or resume it where it stands."""
    launch_study(options)


@cli.command()
@which_study
@how_it_runs
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
    from mlproject.experiments.supplement import supplement as run_supplement

    done = run_supplement(
        study_settings(options),
        trials_per_value=trials_per_value,
        dry_run=dry_run,
        **surroundings(options),
    )
    if done.study is not None:
        click.echo(f"supplement {done.study.study_name}: done, run {done.study.parent_run_id}")
        say_where(done.study)


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
    from mlproject.analysis.audit.audit import audit as run_audit

    outcome = run_audit(experiment or None, planned_trials=planned_trials)
    click.echo(outcome.text)
    click.echo(f"kept as artifacts of run {outcome.run_id}")
    return 0 if outcome.found.is_clean else FINDINGS_EXIT_CODE


@cli.command()
@_EXPERIMENT_TO_READ
@click.option(
    "--output-dir",
    help="A folder to write the report into as well.  [default: artifacts alone]",
)
def report(experiment: str | None, output_dir: str | None) -> None:
    """Say which architecture each study recommends, and whether scale helps.

    An interactive page, tables and pictures are kept as artifacts of a run of its own.
    """
    from mlproject.analysis.report.report import report as run_report

    outcome = run_report(experiment or None, output_dir=output_dir)
    also = f", and in {output_dir}" if output_dir else ""
    click.echo(outcome.summary)
    click.echo(f"kept as artifacts of run {outcome.run_id}{also}")


@cli.command()
@which_study
@click.option(
    "--seeds",
    type=click.IntRange(min=1),
    default=3,
    show_default=True,
    help="How many times the architecture is trained.",
)
@which_data
@on_device
@_EXPERIMENT_TO_READ
def evaluate(seeds: int, device: str, experiment: str | None, **options: str) -> None:
    """Test the architecture that a study recommends, once, on days nothing was chosen by.

    It is trained on training and validation with several seeds, compared with simple baselines on
    the same windows, and registered, ready to be served. Results are kept in a run of their own.
    """
    from mlproject.analysis.evaluation import evaluate as run_evaluation
    from mlproject.search.study_settings import StudySettings

    which = {name: options[name] for name in ("budget", "horizon", "task")}
    settings = StudySettings.parse(**which, experiment=experiment or None)
    done = run_evaluation(
        settings, data=markets_of(options), seeds=seeds, device=device, progress=click.echo
    )
    click.echo(done.text)
    click.echo(f"kept as artifacts of run {done.run_id}")
    click.echo(f"model      models:/{done.model_name}/{done.model_version}")


@cli.command()
@click.option("--budget", help="One budget.  [default: 2M, 20M, 200M and 2B]")
@click.option("--horizon", help="One horizon in days.  [default: 1, 3 and 5]")
@click.option("--task", default="threshold_1pct", show_default=True, help="threshold_Npct.")
@click.option(
    "--output-dir",
    type=click.Path(file_okay=False, path_type=Path),
    default="experiments/phase6a",
    show_default=True,
)
def regenerate(budget: str | None, horizon: str | None, task: str, output_dir: Path) -> None:
    """Write the study scripts, one per budget and horizon."""
    from mlproject.experiments.templates import generate_hpo_script
    from mlproject.tracking.analysis_run import log_launch
    from mlproject.tracking.store import connect

    paths = [
        generate_hpo_script(of_budget, of_horizon, task, output_dir)
        for of_budget in ([budget] if budget else NAMED_BUDGETS)
        for of_horizon in ([horizon] if horizon else _HORIZONS_DAYS)
    ]
    for path in paths:
        click.echo(f"wrote {path}")
    if RUN_VARIABLE in os.environ:
        texts = {f"scripts/{path.name}": path.read_text(encoding="utf-8") for path in paths}
        log_launch(connect(None), "study scripts", texts=texts)


@cli.command()
@click.option("--address", help="Where the UI answers.  [default: as for the tracking store]")
@click.option(
    "--most", type=click.IntRange(min=1), default=10, show_default=True, help="So many studies."
)
def links(address: str | None, most: int) -> None:
    """Say where the newest studies are seen in MLflow's UI."""
    from mlproject.tracking.ui_links import UiAddress, newest_links

    found = newest_links(most)
    if not found:
        click.echo("no study yet")
    for study_links in found:
        where = UiAddress(url=address.rstrip("/")) if address else study_links.address
        click.echo(for_terminal(study_links.study_name))
        for line in replace(study_links, address=where).as_lines():
            click.echo(f"  {line}")


def main() -> NoReturn:
    """Run the command line."""
    set_torch_environment()
    run_command_line(cli)
