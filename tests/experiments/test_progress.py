"""What is shown of a study while it runs, where there is no terminal."""

import os
import sys
import termios

import optuna
import pytest

from mlproject.experiments import progress


def test_where_there_is_no_terminal_a_line_now_and_then_says_how_far_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    study = optuna.create_study(study_name="mine")
    with progress.show_progress(study, finished=0, n_trials=3) as shown:
        shown.begin_trial()
        shown.add_step(0, "1/50", 1, 14)
        assert capsys.readouterr().err == ""
        monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0.0)
        shown.add(0, "1/50")
        assert capsys.readouterr().err == "mine: best -, trial 0 epoch 1/50\n"
        monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 600.0)
        shown.add(0, "2/50")
        assert capsys.readouterr().err == ""


@pytest.mark.parametrize(("rows", "is_bar"), [(0, False), (40, True)])
def test_a_terminal_that_does_not_say_its_size_gets_lines(
    monkeypatch: pytest.MonkeyPatch, rows: int, is_bar: bool
) -> None:
    ours, theirs = os.openpty()
    termios.tcsetwinsize(theirs, (rows, 100))
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0.0)
    with os.fdopen(theirs, "w") as screen, monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", screen)
        with progress.show_progress(
            optuna.create_study(study_name="mine"), finished=0, n_trials=3
        ) as shown:
            shown.add(0, "1/50")
    seen = os.read(ours, 10_000).decode()
    os.close(ours)
    assert ("mine:   0%|" in seen) is is_bar
    assert ("mine: best -, trial 0 epoch 1/50\r\n" in seen) is not is_bar
