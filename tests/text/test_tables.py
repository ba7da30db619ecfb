"""Tables stand straight, and no cell breaks out of its column."""

from mlproject.text.tables import aligned_lines, markdown_lines


def test_the_first_column_is_to_the_left_and_the_others_to_the_right() -> None:
    assert aligned_lines([["study", "trials"], ["a", "7"], ["longest", "12"]]) == [
        "study    trials",
        "a             7",
        "longest      12",
    ]


def test_markdown_has_a_head_a_rule_and_a_line_for_each_row() -> None:
    assert markdown_lines(["", "loss"], [["ours", "0.5"]]) == [
        "|  | loss |",
        "| --- | --- |",
        "| ours | 0.5 |",
    ]


def test_a_cell_that_somebody_else_wrote_stays_one_cell() -> None:
    *_, line = markdown_lines(["study"], [["a|b\n`c`"]])
    assert line == r"| a\|b \`c\` |"
