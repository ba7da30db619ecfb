"""A zone that the runner printed is held against the one that the times are read in."""

import pytest

from tests.recovery.legacy_lines import CREATED, Collect, finish, log, start


@pytest.mark.parametrize(
    ("printed", "timezone", "said"),
    [
        ("PST", "UTC", "America/Los_Angeles"),
        ("CET", "UTC", "Europe/Berlin"),
        ("PST", "America/Los_Angeles", None),
        ("PDT", "America/Los_Angeles", None),
        ("UTC", "UTC", None),
        ("UTC", "Europe/Berlin", "UTC"),
        ("XYZT", "UTC", "XYZT"),
    ],
)
def test_a_zone_in_the_log_is_remarked(
    printed: str, timezone: str, said: str | None, collect: Collect
) -> None:
    line = f"Time: Fri Dec 12 14:12:00 {printed} 2025"
    content = log(line, CREATED, start(0, 1), finish(0, 2))
    [accounting] = collect(content, timezone=timezone).accounting
    remarks = " ".join(accounting.remarks)
    assert (said in remarks and "--timezone" in remarks) if said else not remarks
