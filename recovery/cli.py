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
_DEFAULT_ZONE = "UTC"


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
    click.option("--timezone", help="Zone of the logs, like Europe/Berlin.  [default: UTC]"),
)


def _with_sources(command: Any) -> Any:
    for option in reversed(_SOURCES):
        command = option(command)
    return command


@cli.command()
@_with_sources
def inspect(logs: tuple[str, ...], storages: tuple[str, ...], timezone: str | None) -> int:
    """Show what logs hold, without touching MLflow.

    LOGS are files (packed ones too), directories, globs, *_all_trials.json files, or - for
    standard input.
    """
    zone = timezone or _DEFAULT_ZONE
    return _show(_collect(logs, storages, zone), zone, "sound")


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
    timezone: str | None,
    experiment: str | None,
    dry_run: bool,
) -> int:
    """Write the trials of old logs to MLflow; run again, it adds what is new.

    LOGS are files (packed ones too), directories, globs, *_all_trials.json files, or - for
    standard input.
    """
    zone = timezone or _DEFAULT_ZONE
    collection = _collect(logs, storages, zone)
    if dry_run:
        return _show(collection, zone, "would be written")
    return _write(collection, zone, experiment or None, shift_times=bool(timezone))


def _collect(logs: tuple[str, ...], storages: tuple[str, ...], timezone: str) -> "Collection":
    from datetime import UTC
    from zoneinfo import ZoneInfo

    from recovery.sources.collect import Collector
    from recovery.sources.find import find_logs

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
    found = find_logs(logs)
    for files in found.logs:
        collector.add_log(files)
    for url in storages:
        collector.add_storage(url)
    collection = collector.collection(found.passed_over)
    if not collection.trials and not any(a.rejected for a in collection.accounting):
        if collector.errors:
            raise collector.errors[0]
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


def _write(
    collection: "Collection", timezone: str, experiment: str | None, *, shift_times: bool
) -> int:
    from recovery.report import accounting_lines, shifted_lines, study_lines
    from recovery.write.backfill import backfill_study, open_store, threads_for
    from recovery.write.plan import plan_studies

    _say(accounting_lines(collection, timezone))
    quarantined = 0
    with open_store(experiment) as store:
        for plan in plan_studies(collection):
            done = backfill_study(store, plan, threads=threads_for(store), shift_times=shift_times)
            quarantined += plan.quarantined
            outcome = f"in ({done.written} new or completed)"
            _say([*study_lines(plan, outcome), *shifted_lines(done.shifted, timezone, shift_times)])
    click.echo(f"MLflow experiment {store.experiment_name}")
    return _exit_code(collection, quarantined)


def _say(lines: Iterable[str]) -> None:
    for line in lines:
        click.echo(for_terminal(line))


def _exit_code(collection: "Collection", quarantined: int) -> int:
    is_partial = any(a.rejected or a.failure or a.is_empty for a in collection.accounting)
    return QUARANTINED_EXIT_CODE if quarantined or is_partial else 0


def main() -> NoReturn:
    """Run the command line."""
    run_command_line(cli)
