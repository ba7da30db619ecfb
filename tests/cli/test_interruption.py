"""Whatever a signal comes into the middle of, the command ends as interrupted."""

import subprocess
import sys

import pytest

from tests.end_to_end.processes import REPOSITORY, environment

_COMMAND = """
import os, signal, time
import click
from mlproject.cli.run import run_command_line

def interrupt():
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(1)

class Dying:
    def __del__(self):
        interrupt()

def in_a_deletion():
    dying = Dying()
    del dying
    time.sleep(60)

def before_a_name_is_bound():
    try:
        bound = interrupt()
    finally:
        print(bound)

run_command_line(click.Command("study", callback={name}))
"""


@pytest.mark.parametrize("name", ["in_a_deletion", "before_a_name_is_bound"])
def test_no_interruption_is_lost_or_taken_for_an_error(name: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", _COMMAND.replace("{name}", name)],
        cwd=REPOSITORY,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert ended.returncode == 130
    assert ended.stderr.strip() == "error: interrupted: run the same command again to go on"
