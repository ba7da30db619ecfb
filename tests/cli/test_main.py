"""What bad input gets: one line that says what is wrong and what to do, and nothing written."""

from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient

from mlproject.data.bars import load_bars
from mlproject.training import workload

Command = Callable[..., tuple[int, str, str]]


STUDY = ("study", "--budget", "100k", "--horizon", "3", "--n-trials", "1", "--max-epochs", "1")


def _with(option: str, value: str) -> tuple[str, ...]:
    """`STUDY` with one option given or replaced."""
    if option in STUDY:
        place = STUDY.index(option) + 1
        return (*STUDY[:place], value, *STUDY[place + 1 :])
    return (*STUDY, option, value)


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--budget", "2X", "unknown budget '2X': use 2M"),
        ("--budget", "10", "impossible budget 10: no architecture"),
        ("--budget", "2M; touch x", "unknown budget '2M; touch x'"),
        ("--horizon", "0", "horizon"),
        ("--horizon", "2.5", "horizon"),
        ("--horizon", "600", "horizon"),
        ("--task", "threshold_xpct", "threshold_xpct"),
        ("--task", "threshold_0pct", "threshold_0pct"),
        ("--task", "100pct", "no training day rises by 100 %"),
        ("--n-trials", "0", "n_trials is 0: it must be at least 1"),
        ("--n-trials", "many", "'many' is not a valid integer"),
        ("--max-epochs", "-1", "max_epochs is -1"),
        ("--seed", "-1", "seed is -1"),
        ("--data", "missing.csv", "missing.csv"),
        ("--label-price", "low", "'low' is not one of 'close', 'high'"),
        ("--device", "cuda:9", "device 'cuda:9' cannot be used here"),
        ("--storage", "nonsense", "storage nonsense cannot be opened"),
        ("--storage", "redis://host", "storage redis://host cannot be opened"),
        ("--storage", "sqlite:////nowhere/optuna.db", "cannot be opened"),
        ("--experiment", "a/b", "experiment name 'a/b' cannot name a study"),
        ("--extra", "1", "No such option"),
    ],
)
def test_a_bad_option_is_one_line_and_writes_nothing(
    command: Command, work_directory: Path, option: str, value: str, said: str
) -> None:
    code, _, line = command(*_with(option, value))
    assert code == 2
    assert line.startswith("error: ")
    assert said in line
    assert not (work_directory / "optuna.db").exists()
    assert not (work_directory / "trial_logs").exists()
    client = MlflowClient(f"sqlite:///{work_directory / 'mlflow.db'}")
    assert [experiment.name for experiment in client.search_experiments()] == ["Default"]


def test_bars_that_make_no_sense_stop_before_anything_is_trained(
    command: Command, work_directory: Path, small_market: Path
) -> None:
    frame = load_bars(str(small_market)).frame
    frame.loc[[5, 9], "low"] = frame.loc[[5, 9], "high"] * 2
    frame.to_csv("bad.csv", index=False)
    code, _, line = command(*_with("--data", "bad.csv"))
    assert code == 2
    assert "bad.csv" in line
    assert "low must not be above open (2 rows: 1999-01-11, 1999-01-15)" in line
    assert not (work_directory / "optuna.db").exists()


def test_a_missing_column_is_named(command: Command, small_market: Path) -> None:
    load_bars(str(small_market)).frame.drop(columns="volume").to_csv("no_volume.csv", index=False)
    code, _, line = command(*_with("--data", "no_volume.csv"))
    assert code == 2
    assert "volume" in line
    assert "no_volume.csv" in line


@pytest.mark.slow
def test_bars_of_any_columns_are_trained_on_and_their_shape_is_kept(
    command: Command, small_market: Path
) -> None:
    bars = load_bars(str(small_market)).frame.rename(columns={"date": "Day", "close": "Last"})
    bars.iloc[::-1].to_csv("any.csv", index=False)
    line = command(*STUDY, "--data", "any.csv", "--columns", "close=Last,date=Tag")[2]
    assert "any.csv: columns=date=Tag: there is no column 'Tag'; found Day, open, " in line
    code, printed, _ = command(
        *STUDY, "--data", "any.csv", "--device", "cpu", "--columns", "close=Last,date=Day"
    )
    assert code == 0
    shape = "plain columns, close from 'Last', date from 'Day', newest first turned round, 800 rows"
    assert f"source shape: {shape}\n" in printed
    (experiment,) = MlflowClient().search_experiments(filter_string="name = 'phase6a'")
    runs = MlflowClient().search_runs([experiment.experiment_id])
    assert [r.data.params["source_shape"] for r in runs if "source_shape" in r.data.params] == [
        shape
    ]


@pytest.mark.slow
def test_a_storage_that_holds_another_study_of_the_same_name_says_what_differs(
    command: Command, small_market: Path
) -> None:
    data = ("--data", str(small_market), "--device", "cpu")
    assert command(*STUDY, *data)[0] == 0
    code, _, line = command(*_with("--max-epochs", "2"), *data)
    assert code == 2
    assert "holds another study named phase6a_100k_h3_threshold_1pct" in line
    assert "(max_epochs is 1 there and 2 here)" in line
    assert command(*STUDY, *data)[0] == 0


@pytest.mark.slow
def test_the_study_goes_to_the_experiment_asked_for(command: Command, small_market: Path) -> None:
    data = ("--data", str(small_market), "--device", "cpu")
    assert command(*STUDY, *data, "--experiment", "mine")[0] == 0
    (experiment,) = MlflowClient().search_experiments(filter_string="name = 'mine'")
    runs = MlflowClient().search_runs([experiment.experiment_id])
    assert sorted(run.info.run_name for run in runs) == ["mine_100k_h3_threshold_1pct", "trial 0"]


def test_a_budget_that_does_not_fit_in_memory_is_refused_with_the_figures(
    command: Command, work_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, _, line = command(*_with("--budget", "400B"))
    assert "impossible budget" in line  # the grid ends before memory does
    monkeypatch.setattr(workload, "free_memory_bytes", lambda _device: 3_000_000_000)
    code, _, line = command(*_with("--budget", "2B"), "--device", "cpu")
    assert code == 2
    assert "too little memory on cpu: the architecture of 2," in line
    assert "with adafactor in bf16 and steps of 256 windows, and 2.7 of 3.0 GB free" in line
    assert not (work_directory / "optuna.db").exists()
