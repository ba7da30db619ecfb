"""What the recovery's tests share: the legacy logs, and MLflow stores that cost no migration."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from recovery.sources.collect import Collection, Collector

settings.register_profile(
    "default", max_examples=100, deadline=None, suppress_health_check=list(HealthCheck)
)
settings.register_profile("long", settings.get_profile("default"), max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

LEGACY = Path(__file__).parent / "legacy"
LOGS = sorted(LEGACY.glob("*.log"))


def read(*contents: bytes, timezone: str = "UTC", directory: Path) -> Collection:
    """Collect logs that are given as bytes."""
    from zoneinfo import ZoneInfo

    collector = Collector(zone=ZoneInfo(timezone))
    for number, content in enumerate(contents):
        path = directory / f"{number}.log"
        path.write_bytes(content)
        collector.add_file(str(path))
    return collector.collection()


@pytest.fixture
def collect(tmp_path: Path) -> Callable[..., Collection]:
    """`read`, into a directory of its own."""
    return lambda *contents, **options: read(*contents, directory=tmp_path, **options)


@pytest.fixture(scope="session")
def truth() -> dict[str, dict[int, dict[str, Any]]]:
    """What the old program saved: study -> trial number -> trial."""
    studies = {}
    for path in LEGACY.glob("*.truth/*.json"):
        summary = json.loads(path.read_text())
        studies[summary["experiment"]] = {t["trial_number"]: t for t in summary["trials"]}
    return studies


@pytest.fixture(autouse=True)
def _never_with_pictures(_without_pictures: None) -> None:
    """Tests that have no `work_directory` are spared the pictures too."""
