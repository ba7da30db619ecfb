"""What every command that runs a study shares: its options, its launch, its last words.

Such commands are the verbs `study` and `supplement` and the generated study scripts. Heavy imports
stand inside the functions, so that a mistyped option is answered at once.
"""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from mlproject.text.credentials import STORAGE_VARIABLE
from mlproject.tracking.experiment_names import EXPERIMENT_VARIABLES

if TYPE_CHECKING:
    from mlproject.data.markets import Markets
    from mlproject.experiments.study import StudyOutcome
    from mlproject.search.study_settings import StudySettings

_SETTINGS = (
    "budget",
    "horizon",
    "task",
    "experiment",
    "label_price",
    "n_trials",
    "warm_start",
    "max_epochs",
    "max_steps",
    "seed",
    "grid_version",
    "search_space",
    "optimiser",
    "precision",
)
"""The options that are settings of the study; the others say where and how it runs."""

_WHICH_STUDY = (
    click.option("--budget", required=True, help="2M, 20M, 200M, 2B, or any count such as 750k."),
    click.option("--horizon", required=True, help="Days within which the price has to rise."),
    click.option("--task", default="threshold_1pct", show_default=True, help="threshold_Npct."),
)


def _parse_version(_: click.Context, option: click.Parameter, text: str) -> int | None:
    """`mlflow run` passes every parameter, an unset one as an empty text."""
    if text and not text.isdecimal():
        raise click.BadParameter(f"{text!r} is no whole number", param=option)
    return int(text) if text else None


def explicit_experiment(
    context: click.Context, option: click.Parameter, name: str | None
) -> str | None:
    """The experiment that the command line names; to a script's own the environment is preferred.

    Which of its variables counts is decided in `mlproject.tracking.whose_run`.
    """
    source = context.get_parameter_source(option.name or "")
    is_typed = source is click.core.ParameterSource.COMMANDLINE
    return (
        (name or None) if is_typed or not any(map(os.environ.get, EXPERIMENT_VARIABLES)) else None
    )


_WHICH_VERSIONS = (
    click.option(
        "--grid-version",
        default="",
        callback=_parse_version,
        help="Version of the architecture grid.  [default: as the study began, or the current one]",
    ),
    click.option(
        "--search-space",
        default="",
        callback=_parse_version,
        help="Version of ranges, sampler and pruner.  [default: as for the grid]",
    ),
)
_HOW_IT_SEARCHES = (
    click.option(
        "--n-trials", type=int, default=50, show_default=True, help="Trials of the study in all."
    ),
    click.option(
        "--warm-start",
        type=bool,
        default=True,
        show_default=True,
        help="Begin a new study with what smaller ones of its task recommend.",
    ),
)
_DEVICES = "auto, cpu, cuda, cuda:1, mps"
on_device = click.option("--device", default="auto", show_default=True, help=f"{_DEVICES}.")
"""Give a command the option of where it computes."""

_WHICH_DATA = (
    click.option(
        "--data",
        default="sp500",
        show_default=True,
        help="sp500, nasdaq, us_indices, a CSV or Parquet file of bars, or a folder or pattern of "
        "such files.",
    ),
    click.option(
        "--columns",
        default="",
        help="Which column of the data is which, such as close=Last,date=Day.  [default: as known]",
    ),
    click.option(
        "--volume",
        type=click.Choice(["required", "none"]),
        default="required",
        show_default=True,
        help="none: the bars have no volume; the four features that need it are left out.",
    ),
    click.option(
        "--bad-markets",
        type=click.Choice(["refuse", "leave_out"]),
        default="refuse",
        show_default=True,
        help="What is done about a market that cannot be used, where there are others.",
    ),
)

_HOW_IT_RUNS = (
    click.option(
        "--max-epochs",
        type=int,
        default=0,
        show_default=True,
        help="Cap on the epochs; 0 is none.",
    ),
    click.option(
        "--max-steps",
        type=int,
        default=0,
        show_default=True,
        help="Cap on the steps of an epoch, for a quick check; 0 is none.",
    ),
    click.option(
        "--optimiser",
        type=click.Choice(["auto", "adamw", "adafactor"]),
        default="auto",
        show_default=True,
        help="auto: AdamW, or Adafactor where it would not fit into memory.",
    ),
    click.option(
        "--precision",
        type=click.Choice(["auto", "fp32", "bf16"]),
        default="auto",
        show_default=True,
        help="auto: bf16 where the device computes in it.",
    ),
    *_WHICH_DATA,
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
        "--device",
        default="auto",
        show_default=True,
        help=f"{_DEVICES}; cuda:0,cuda:1 trains each trial on both.",
    ),
    click.option(
        "--workers",
        type=int,
        default=1,
        show_default=True,
        help="Trials at a time; more than 1 run through Ray.",
    ),
    click.option(
        "--ray-address",
        help="A Ray cluster for the workers, such as 10.0.0.1:6379.  [default: this machine]",
    ),
    click.option(
        "--gpus-per-trial",
        help="GPUs of each worker, such as 0.5.  [default: 1 where Ray has GPUs, else 0]",
    ),
    click.option(
        "--experiment",
        callback=explicit_experiment,
        help="MLflow experiment; under `mlflow run`, its --experiment-name.  [default: phase6a]",
    ),
)


def which_study(command: Any) -> Any:
    """Give a command the options that say which study it is about."""
    return _with(_WHICH_STUDY, command)


def which_versions(command: Any) -> Any:
    """Give a command the options that ask for an older grid or search space."""
    return _with(_WHICH_VERSIONS, command)


def how_it_searches(command: Any) -> Any:
    """Give a command the options that say how a study searches."""
    return _with(_HOW_IT_SEARCHES, command)


def how_it_runs(command: Any) -> Any:
    """Give a command the options that say how and where a study is run."""
    return _with(_HOW_IT_RUNS, command)


def which_data(command: Any) -> Any:
    """Give a command the options that say what bars it is about."""
    return _with(_WHICH_DATA, command)


def markets_of(options: Mapping[str, Any]) -> "Markets":
    """The markets that the options name, read and checked."""
    from mlproject.data.column_map import parse_column_map
    from mlproject.data.load_markets import load_markets

    return load_markets(
        options["data"],
        parse_column_map(options["columns"], volume=options["volume"] != "none"),
        bad_markets=options["bad_markets"],
    )


def study_settings(options: Mapping[str, Any], **fixed: Any) -> "StudySettings":
    """What the options say of the study itself, with the settings that no option has as `fixed`."""
    from mlproject.search.study_settings import StudySettings

    named = {name: options[name] for name in _SETTINGS if name in options}
    return StudySettings.parse(**named, **fixed)


def surroundings(options: Mapping[str, Any]) -> dict[str, Any]:
    """Where a study finds its data, its storage, its device and its workers."""
    from mlproject.experiments.workers.settings import parse_workers

    return {
        "data": markets_of(options),
        # `mlflow run` passes every parameter, an unset one as an empty text.
        "storage": options["storage"] or None,
        "device": options["device"],
        "workers": parse_workers(
            options["workers"], options["ray_address"], options["gpus_per_trial"]
        ),
        "progress": click.echo,
    }


def launch_study(options: Mapping[str, Any], **fixed: Any) -> None:
    """Launch or resume the study of the options, and say how it ended."""
    from mlproject.experiments.study import run_study

    settings = study_settings(options, **fixed)
    outcome = run_study(settings, **surroundings(options))
    if outcome.was_stopped:
        click.echo("stopped    as asked in MLflow: run the same command again to go on")
    recommended, best = outcome.recommended, outcome.best_trial
    click.echo(f"study      {outcome.study_name}: {outcome.finished} trials finished")
    if recommended is not None:
        click.echo(
            f"best       {recommended.as_text()}, recommended by all trials: expected validation "
            f"loss {recommended.val_loss:.4f} ({recommended.low:.4f} to {recommended.high:.4f})"
        )
    if best is not None:
        click.echo(f"luckiest   trial {best.number}, validation loss {best.value:.4f}")
    click.echo(f"trial log  {outcome.trial_log}")
    click.echo(f"MLflow     experiment {settings.experiment}, run {outcome.parent_run_id}")
    say_where(outcome)


def say_where(outcome: "StudyOutcome") -> None:
    """Print the links that show a study in MLflow's UI."""
    for line in outcome.links.as_lines() if outcome.links else ():
        click.echo(line)


def _with(options: tuple[Any, ...], command: Any) -> Any:
    for option in reversed(options):
        command = option(command)
    return command
