"""The description of a parent run: what a user wrote there stays."""

import pytest

from mlproject.tracking.description import renewed

OLD = "**s**: the best of 2M parameters.\n\n1 of 4 trials finished."
NEW = "**s**: the best of 2M parameters.\n\n4 of 4 trials finished."


@pytest.mark.parametrize(
    ("description", "written", "expected"),
    [
        ("", None, NEW),
        (OLD, OLD, NEW),
        (OLD, None, NEW),  # an earlier version did not say what it wrote
        ("my own words", None, "my own words"),
        ("my own words", OLD, "my own words"),
        (f"{OLD}\n\nmy own words", OLD, f"{NEW}\n\nmy own words"),
        (f"my own words\n\n{OLD}", OLD, f"my own words\n\n{NEW}"),
        (OLD.replace("\n", "\r\n"), OLD, NEW),
        (OLD.replace("finished", "done"), OLD, OLD.replace("finished", "done")),
    ],
)
def test_what_a_user_wrote_stays(description: str, written: str | None, expected: str) -> None:
    assert renewed(description, written, NEW, study_name="s") == expected
