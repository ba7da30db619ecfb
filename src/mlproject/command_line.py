"""How a command line of this project ends: with an exit code, and one line for what went wrong."""

import signal
import sys
from types import FrameType
from typing import NoReturn

import click

from mlproject.errors import UserError

INTERRUPTED_EXIT_CODE = 130


def run_command_line(command: click.Command) -> NoReturn:
    """Run a command, or a group of them, and exit with what it returns, 0 by default.

    A user's mistake is one line on standard error and a non-zero exit; ``--debug`` shows the stack
    trace instead. A polite request to end (SIGTERM) is an interruption like Ctrl-C.
    """
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        exit_code = command.main(standalone_mode=False)
    except click.ClickException as error:
        _fail(error.format_message(), error.exit_code)
    except UserError as error:
        if "--debug" in sys.argv:
            raise
        _fail(str(error), error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        _fail("interrupted: run the same command again to go on", INTERRUPTED_EXIT_CODE)
    sys.exit(exit_code or 0)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _fail(line: str, exit_code: int) -> NoReturn:
    click.echo(f"error: {' '.join(line.split())}", err=True)
    sys.exit(exit_code)
