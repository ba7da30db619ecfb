"""What is shown of a study while it runs, where there is no terminal."""

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
