"""The command line of a generated study script: the study stands in the script, the rest can vary.

What the script states is the default of the options. What makes the study another one (budget,
horizon, task, batch size, grid version, search space) has no option.
"""

from typing import Any, NoReturn

import click

from mlproject.cli.options import how_it_runs, how_it_searches, launch_study
from mlproject.cli.run import run_command_line
from mlproject.experiments.study_script import StudyScript, check_script
from mlproject.training.system.environment import set_torch_environment

_DEFAULTS = ("n_trials", "max_epochs", "data", "label_price", "seed", "experiment")


def run_script(script: StudyScript) -> NoReturn:
    """Run a study script: launch its study, or resume it where it stands."""
    set_torch_environment()
    run_command_line(_command(script))


def _command(script: StudyScript) -> click.Command:
    stated = {name: getattr(script, name) for name in _DEFAULTS}

    @click.command(
        help=f"Launch or resume the study of {script.budget} parameters, horizon "
        f"{script.horizon_days}, {script.task}, where it stands.",
        context_settings={"default_map": stated},
    )
    @how_it_searches
    @how_it_runs
    @click.option("--debug", is_flag=True, help="Show stack traces.")
    def command(debug: bool, **options: Any) -> None:  # noqa: ARG001 # read from the command line
        check_script(script)
        which = {
            "budget": script.budget,
            "horizon": script.horizon_days,
            "task": script.task,
            "grid_version": script.grid_version,
            "search_space": script.search_space,
        }
        launch_study({**which, **options}, batch_size=script.batch_size)

    return command
