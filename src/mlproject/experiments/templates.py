"""Study scripts: one per budget, horizon and task, every setting in plain sight and no logic.

A script can hold nothing but literals: its parameters are parsed first, and what is written is the
canonical spelling of what was parsed.
"""

import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

from mlproject.experiments.study_script import StudyScript, state_study
from mlproject.models.budget import TOLERANCE, Budget
from mlproject.search.study_settings import StudySettings, parse_study
from mlproject.text.written_files import write_text
from mlproject.tracking.experiment_names import DEFAULT_EXPERIMENT

_TEMPLATE = '''\
"""Study {study_name}: {budget} parameters, a rise of {percent} % within {days}.

Written by `mlflow run . -e regenerate`, not by hand. It runs the very study of `mlflow run`, under
the same name, so that either goes on with what the other began:

    python {file_name} --help
    {mlflow_run}
"""

from mlproject.cli.script import run_script
from mlproject.experiments.study_script import StudyScript

STUDY = StudyScript(
{settings}
)

if __name__ == "__main__":
    run_script(STUDY)
'''


def generate_hpo_script(
    budget: str | Budget, horizon: str | int, task: str, output_dir: str | Path
) -> Path:
    """Write the script of a study of phase 6a: ``hpo_{budget}_h{horizon}_{task}.py``.

    >>> from mlproject import generate_hpo_script
    >>> path = generate_hpo_script("2M", 3, "threshold_1pct", "scripts")
    >>> path.as_posix()
    'scripts/hpo_2M_h3_threshold_1pct.py'
    >>> "n_trials=50," in path.read_text()
    True

    Args:
        budget: such as ``2M`` or ``750k``.
        horizon: days within which the price has to rise.
        task: such as ``threshold_1pct``.
        output_dir: the folder, made if missing.

    Returns:
        The path of the script.

    Raises:
        UserError: a parameter that cannot be read, a budget that no architecture fits, or a folder
            that cannot be written to.
    """
    settings = StudySettings(
        experiment=DEFAULT_EXPERIMENT,
        **parse_study(budget, horizon, task),
    )
    path = Path(output_dir) / _file_name(settings)
    write_text(path, script_text(settings))
    return path


def script_text(settings: StudySettings) -> str:
    """The text of a study's script."""
    script = state_study(settings)
    return _TEMPLATE.format(
        study_name=settings.study_name,
        budget=script.budget,
        mlflow_run=f"mlflow run . --experiment-name {script.experiment} "
        f"-P budget={script.budget} -P horizon={script.horizon_days} -P task={script.task}",
        days=f"{script.horizon_days} day{'s' * (script.horizon_days > 1)}",
        percent=script.task.removeprefix("threshold_").removesuffix("pct"),
        file_name=_file_name(settings),
        settings="\n".join(_lines(script, settings)),
    )


def _file_name(settings: StudySettings) -> str:
    return f"hpo_{settings.budget.name}_h{settings.horizon_days}_{settings.task.name}.py"


def _lines(script: StudyScript, settings: StudySettings) -> list[str]:
    lines = []
    for field in fields(script):
        value = getattr(script, field.name)
        comment = _comments(settings).get(field.name, "")
        if isinstance(value, Mapping):
            lines.append(f"    {field.name}={{")
            lines += [f"        {_literal(k)}: {_literal(v)}," for k, v in value.items()]
            lines.append("    },")
        else:
            lines.append(f"    {field.name}={_literal(value)},{comment and f'  # {comment}'}")
    return lines


def _literal(value: str | int) -> str:
    """The value in Python, a text in double quotes as the formatter has it."""
    return json.dumps(value) if isinstance(value, str) else repr(value)


def _comments(settings: StudySettings) -> dict[str, str]:
    least, most = (int(settings.budget.parameters * (1 + t)) for t in (-TOLERANCE, TOLERANCE))
    return {
        "budget": f"{least:,} to {most:,} parameters",
        "label_price": "the price that has to reach the threshold",
        "n_trials": "finished trials of the study in all, over all launches",
        "max_epochs": "no cap on the epochs that the search may choose",
        "grid_version": "of the architecture grid",
        "n_features": "of each day",
        "search_space": "the version of ranges, sampler and pruner",
    }
