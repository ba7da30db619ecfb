"""The settings of a study, as its note shows them."""

from mlproject.analysis.summary.settings_tables import settings_in_words


def test_each_param_stands_once_under_its_subject() -> None:
    params = {
        "version.torch": "2.13.0",
        "search.dropout": "0.1..0.3",
        "sampler": "TPE",
        "horizon": "3",
        "budget": "2M",
        "plan.precision": "bf16",
        "data": "sp500",
        "ray_address": "",
        "columns": "''",
        "something new": "x",
    }
    assert [line for line in settings_in_words(params) if line] == [
        *("**The study**", "| param | value |", "|---|---|", "| budget | 2M |", "| horizon | 3 |"),
        *("**Data**", "| param | value |", "|---|---|", "| data | sp500 |"),
        *("**Search**", "| param | value |", "|---|---|", "| sampler | TPE |"),
        "| search.dropout | 0.1..0.3 |",
        *("**Plan (the whole of it: memory_plan.txt)**", "| param | value |", "|---|---|"),
        "| plan.precision | bf16 |",
        *("**Versions**", "| param | value |", "|---|---|", "| version.torch | 2.13.0 |"),
        *("**Others**", "| param | value |", "|---|---|", "| something new | x |"),
    ]


def test_a_value_is_a_cell_whatever_it_is() -> None:
    (*_, row) = settings_in_words({"data": "a|b\n[x](http://y) " + "z" * 1000})
    assert "\n" not in row and len(row) < 250
    assert row.startswith(r"| data | a\|b \[x](http://y) zzz")
