"""Every part of the claims benchmark gives a table, and docs/claims.md has what it gives."""

import pytest
from benchmarks.claims import PARTS, Part

from tests.end_to_end.processes import REPOSITORY

QUICK = [part for name, parts in PARTS.items() if name != "studies" for part in parts]
"""All that train no network."""


@pytest.mark.slow
@pytest.mark.parametrize("part", QUICK, ids=lambda part: part.__name__)
def test_a_part_gives_the_table_that_the_page_has(part: Part) -> None:
    title, head, rule, *rows = (line for line in part(2) if line)
    assert title.startswith("### ")
    assert len({line.count("|") for line in (head, rule, *rows)}) == 1
    page = (REPOSITORY / "docs" / "claims.md").read_text()
    assert title.strip() in page
    assert head in page
    for row in rows:
        assert any(line.startswith(row.split(" | ")[0] + " | ") for line in page.splitlines())
