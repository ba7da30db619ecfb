"""The command line of the recovery: ``backfill`` and ``inspect``.

Heavy imports stand inside the commands, so that a mistyped option is answered at once.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NoReturn

import click

from mlproject.cli.run import run_command_line
from mlproject.errors import UserError
from mlproject.text.escaping import for_terminal

if TYPE_CHECKING:
    from recovery.sources.collect import Collection

QUARANTINED_EXIT_CODE = 1


class NothingFound(UserError):
    """The sources hold no trial."""


class UnknownTimezone(UserError):
    """A time zone that is not in the zone database."""


@click.group()
@click.option("--debug", is_flag=True, help="Show stack traces.")
def cli(debug: bool) -> None:
    """Turn old text logs into MLflow runs, each value proven, none lost, none twice."""


_SOURCES = (
    click.argument("logs", nargs=-1),
    click.option("--optuna", "storages", multiple=True, help="An Optuna storage URL to read too."),
    click.option(
        "--timezone", default="UTC", show_default=True, help="Zone of the logs, like Europe/Berlin."
    ),
)


def _with_sources(command: Any) -> Any:
    for option in reversed(_SOURCES):
        command = option(command)
    return command


@cli.command()
@_with_sources
def inspect(logs: tuple[str, ...], storages: tuple[str, ...], timezone: str) -> int:
    """Show what logs hold, without touching MLflow.

    LOGS are files (.gz too), directories, globs, *_all_trials.json files, or - for standard input.
    """
    return _show(_collect(logs, storages, timezone), timezone, "sound")


@cli.command()
@_with_sources
@click.option(
    "--experiment",
    envvar="MLFLOW_EXPERIMENT_NAME",
    help="MLflow experiment.  [default: that of `mlflow run`, or phase6a]",
)
@click.option("--dry-run", is_flag=True, help="Write nothing; say what would be written.")
def backfill(
    logs: tuple[str, ...],
    storages: tuple[str, ...],
    timezone: str,
    experiment: str | None,
    dry_run: bool,
) -> int:
    """Write the trials of old logs to MLflow; run again, it adds what is new.

    LOGS are files (.gz too), directories, globs, *_all_trials.json files, or - for standard input.
    """
    collection = _collect(logs, storages, timezone)
    if dry_run:
        return _show(collection, timezone, "would be written")
    return _write(collection, timezone, experiment or None)


def _collect(logs: tuple[str, ...], storages: tuple[str, ...], timezone: str) -> "Collection":
    from datetime import UTC
    from zoneinfo import ZoneInfo

    from recovery.sources.collect import Collector
    from recovery.sources.files import find_logs

    try:
        # UTC needs no zone database, which small machines lack.
        zone = UTC if timezone == "UTC" else ZoneInfo(timezone)
    except (KeyError, ValueError, OSError) as error:
        raise UnknownTimezone(
            f"unknown time zone {timezone!r}: use a name such as UTC or Europe/Berlin"
        ) from error
    if not logs and not storages:
        raise click.UsageError("give a log, or an Optuna storage with --optuna")
    collector = Collector(zone=zone)
    for path in find_logs(logs):
        collector.add_file(path)
    for url in storages:
        collector.add_storage(url)
    collection = collector.collection()
    if not collection.trials and not any(a.rejected for a in collection.accounting):
        names = ", ".join(accounting.source for accounting in collection.accounting)
        raise NothingFound(f"no trial in {names}: is it the log of a study?")
    return collection


def _show(collection: "Collection", timezone: str, outcome: str) -> int:
    from recovery.report import accounting_lines, study_lines
    from recovery.write.plan import plan_studies

    _say(accounting_lines(collection, timezone))
    quarantined = 0
    for plan in plan_studies(collection):
        quarantined += plan.quarantined
        _say(study_lines(plan, outcome))
    return _exit_code(collection, quarantined)


def _write(collection: "Collection", timezone: str, experiment: str | None) -> int:
    from recovery.report import accounting_lines, study_lines
    from recovery.write.backfill import backfill_study, open_store, threads_for
    from recovery.write.plan import plan_studies

    _say(accounting_lines(collection, timezone))
    quarantined = 0
    with open_store(experiment) as store:
        for plan in plan_studies(collection):
            done = backfill_study(store, plan, threads=threads_for(store))
            quarantined += plan.quarantined
            outcome = f"in ({done.written} new or completed)"
            _say(study_lines(plan, outcome))
    click.echo(f"MLflow experiment {store.experiment_name}")
    return _exit_code(collection, quarantined)


def _say(lines: Iterable[str]) -> None:
    for line in lines:
        click.echo(for_terminal(line))


def _exit_code(collection: "Collection", quarantined: int) -> int:
    rejected = any(accounting.rejected for accounting in collection.accounting)
    return QUARANTINED_EXIT_CODE if quarantined or rejected else 0


def main() -> NoReturn:
    """Run the command line."""
    run_command_line(cli)
