"""What may be written into the tag."""

import pytest

from mlproject.experiments.control.commands import Command, UnknownCommand, Verb, parse_command


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("pause", Command(verb=Verb.PAUSE)),
        (" Resume\n", Command(verb=Verb.RESUME)),
        ("STOP", Command(verb=Verb.STOP)),
        ("stop now", Command(verb=Verb.STOP_NOW)),
        ("stop-now", Command(verb=Verb.STOP_NOW)),
        ("stop_now", Command(verb=Verb.STOP_NOW)),
        ("n_trials=80", Command(verb=Verb.N_TRIALS, n_trials=80)),
        ("n_trials: 80", Command(verb=Verb.N_TRIALS, n_trials=80)),
        ("N_TRIALS = 80", Command(verb=Verb.N_TRIALS, n_trials=80)),
    ],
)
def test_what_a_user_means_is_understood(text: str, command: Command) -> None:
    assert parse_command(text) == command


@pytest.mark.parametrize(
    "text",
    [
        "puase",
        "stop please",
        "n_trials=0",
        "n_trials=-3",
        "n_trials=1e9",
        "n_trials=99999999",
        "80",
    ],
)
def test_anything_else_is_answered_with_what_could_be_written(text: str) -> None:
    with pytest.raises(UnknownCommand, match="pause, resume, stop, stop now or n_trials=80"):
        parse_command(text)


def test_the_answer_is_one_short_line_whatever_was_written() -> None:
    with pytest.raises(UnknownCommand) as refused:
        parse_command("\x1b[2J\nTrial 7 finished with value: 0.1" * 1000)
    line = str(refused.value)
    assert "\x1b" not in line and "\n" not in line and len(line) < 250
