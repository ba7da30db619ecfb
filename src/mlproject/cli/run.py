"""How a command line of this project ends: with an exit code, and one line for what went wrong."""

import os
import sys
from contextlib import suppress
from typing import NoReturn

import click

from mlproject.cli.interruption import end_on_signals, end_with_mlflow_run
from mlproject.errors import UserError, is_interruption
from mlproject.text.credentials import (
    CredentialsInSight,
    hide_credentials,
    keep_credentials_unseen,
    refuse_credentials,
)
from mlproject.text.escaping import for_terminal
from mlproject.tracking.experiment_names import RUN_VARIABLE

INTERRUPTED_EXIT_CODE = 130


def run_command_line(command: click.Command) -> NoReturn:
    """Run a command, or a group of them, and exit with what it returns, 0 by default.

    A user's mistake is one line on standard error and a non-zero exit; ``--debug`` shows the stack
    trace instead. A request to end (SIGTERM, a closed terminal, the end of `mlflow run`) is an
    interruption like Ctrl-C. No line, log or stack trace shows a password.
    """
    end_on_signals()
    if RUN_VARIABLE in os.environ:
        end_with_mlflow_run()
    os.environ["MPLBACKEND"] = "agg"  # pictures are files: no window, whatever the desktop
    keep_credentials_unseen()
    try:
        _refuse_credentials()
        exit_code = command.main(standalone_mode=False)
    except click.ClickException as error:
        _fail(error.format_message(), error.exit_code)
    except UserError as error:
        if "--debug" in sys.argv:
            raise
        _fail(str(error), error.exit_code)
    except BaseException as error:
        if not (isinstance(error, click.Abort) or is_interruption(error)):
            raise
        _close_launch()
        _fail("interrupted: run the same command again to go on", INTERRUPTED_EXIT_CODE)
    sys.exit(exit_code or 0)


def _refuse_credentials() -> None:
    try:
        refuse_credentials(sys.argv[1:])
    except CredentialsInSight as error:
        run_id = os.environ.get(RUN_VARIABLE)
        if run_id is None:
            raise
        from mlproject.tracking.store import tracking_uri

        raise CredentialsInSight(
            f"{error}; `mlflow run` has logged it as a param of run {run_id} in "
            f"{hide_credentials(tracking_uri())}, where it stays: change the password"
        ) from None


def _close_launch() -> None:
    """End the run of `mlflow run` that nothing has used yet: that may have been killed itself."""
    if RUN_VARIABLE in os.environ:
        from mlproject.tracking.store import close_launch_run

        with suppress(UserError):
            close_launch_run("KILLED")


def _fail(line: str, exit_code: int) -> NoReturn:
    shown = for_terminal(hide_credentials(" ".join(line.split())))
    with suppress(OSError):  # the terminal may be closed
        click.echo(f"error: {shown}", err=True)
    sys.exit(exit_code)
