"""Budgets: every spelling of one number is one budget with one name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlproject.models.budget import NAMED_BUDGETS, Budget, UnknownBudget, parse_budget


@pytest.mark.parametrize(
    ("text", "parameters", "name"),
    [
        ("2M", 2_000_000, "2M"),
        ("2m", 2_000_000, "2M"),
        ("2000000", 2_000_000, "2M"),
        (" 0.002B ", 2_000_000, "2M"),
        ("750k", 750_000, "750k"),
        ("750K", 750_000, "750k"),
        ("1.5B", 1_500_000_000, "1.5B"),
        ("1234567", 1_234_567, "1234.567k"),
        ("999", 999, "999"),
    ],
)
def test_a_budget_has_one_name_however_it_is_typed(text: str, parameters: int, name: str) -> None:
    budget = parse_budget(text)
    assert budget == Budget(parameters)
    assert budget.name == name


@pytest.mark.parametrize("name", NAMED_BUDGETS)
def test_named_budgets_keep_their_names(name: str) -> None:
    assert parse_budget(name).name == name


@given(st.integers(min_value=1, max_value=10**14))
def test_the_name_of_a_budget_reads_back_as_the_same_budget(parameters: int) -> None:
    assert parse_budget(Budget(parameters).name) == Budget(parameters)


@pytest.mark.parametrize(
    "text",
    ["", "M", "2T", "-2M", "2M; touch x", "0", "0.5", "1e6", "2 M M", "nan", "inf", "٢M", "9" * 99],
)
def test_anything_else_is_refused_by_name(text: str) -> None:
    with pytest.raises(UnknownBudget, match="unknown budget") as caught:
        parse_budget(text)
    assert "2M, 20M, 200M, 2B" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2X", "did you mean 2M or 2B?"),
        ("2 million", "did you mean 2M?"),
        ("-750k", "did you mean 750k?"),
        ("20MB", "did you mean 20M?"),
    ],
)
def test_what_looks_like_a_budget_is_told_the_nearest_ones(text: str, meant: str) -> None:
    with pytest.raises(UnknownBudget) as caught:
        parse_budget(text)
    assert str(caught.value).endswith(meant)


def test_a_quarter_more_or_less_still_fits() -> None:
    budget = parse_budget("2M")
    assert budget.fits(1_500_000)
    assert budget.fits(2_500_000)
    assert not budget.fits(1_499_999)
    assert not budget.fits(2_500_001)
