"""Packed logs, friendly and hostile."""

import gzip
import subprocess
import sys
from pathlib import Path

import pytest

from tests.end_to_end.processes import REPOSITORY, environment
from tests.recovery.conftest import LEGACY
from tests.recovery.legacy_lines import Collect


def test_a_packed_log_is_unpacked(collect: Collect) -> None:
    path = LEGACY / "2M_no_heads.log"
    assert collect(gzip.compress(path.read_bytes())).trials == 100


@pytest.mark.slow
def test_a_log_that_unpacks_without_end_takes_constant_memory(tmp_path: Path) -> None:
    path = tmp_path / "bomb.log.gz"
    with gzip.open(path, "wb", compresslevel=1) as bomb:
        for _ in range(512):
            bomb.write(b"\0" * (1 << 20))
        bomb.write(b"\n" * (1 << 20))
    measure = (
        "import re, sys; from pathlib import Path; from recovery.cli import cli\n"
        "try: cli.main(['inspect', sys.argv[1]], standalone_mode=False)\n"
        "except Exception as error: print(error)\n"
        "print(re.search(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text())[1])"
    )
    done = subprocess.run(
        [sys.executable, "-c", measure, str(path)],
        cwd=REPOSITORY,
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert "no trial in bomb.log.gz" in done.stdout
    assert int(done.stdout.split()[-1]) < 400_000  # kilobytes
