"""A study of two markets, and every analysis of it, through the Python API."""

from collections.abc import Iterator
from pathlib import Path

import mlflow
import numpy as np
import optuna
import pandas as pd
import pytest
from mlflow import MlflowClient

import mlproject
from mlproject.analysis.baselines import of_windows
from mlproject.data.bars import load_bars
from mlproject.data.windows import WindowedData, build_windows
from mlproject.search.study_settings import StudySettings

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("many_markets")]

SETTINGS = StudySettings.parse("100k", horizon=3, n_trials=2, max_epochs=2)
STUDY = SETTINGS.study_name
NAMES = ["=nasdaq", "sp500"]
"""One is a formula to a spreadsheet."""


@pytest.fixture(scope="module")
def markets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two markets; one begins later, so that days and markets are not in one order."""
    folder = tmp_path_factory.mktemp("markets") / "both"
    folder.mkdir()
    load_bars("sp500").frame.head(800).to_csv(folder / "sp500.csv", index=False)
    load_bars("nasdaq").frame[200:840].to_csv(folder / "=nasdaq.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def evaluated(
    markets: Path, mlflow_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[mlproject.Evaluated]:
    """The study is run and evaluated; its directory stays the working directory."""
    directory = tmp_path_factory.mktemp("many")
    (directory / "mlflow.db").write_bytes(mlflow_template.read_bytes())
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(directory)
        mlflow.set_tracking_uri(None)
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{directory / 'mlflow.db'}")
        patch.setattr(of_windows, "MAX_TREES", 5)
        patch.setattr(of_windows, "INVERSE_PENALTIES", (1e-6, 1e-5))
        mlproject.run_study(SETTINGS, data=str(markets), device="cpu")
        yield mlproject.evaluate(SETTINGS, data=str(markets), seeds=2, device="cpu")


def _table(run_id: str, name: str) -> pd.DataFrame:
    return pd.read_csv(MlflowClient().download_artifacts(run_id, name))


def _windows(markets: Path, **which: bool) -> WindowedData:
    return build_windows(
        mlproject.load_markets(str(markets)), horizon_days=3, task=SETTINGS.task, **which
    )


def _parent() -> str:
    (experiment,) = [e for e in MlflowClient().search_experiments() if e.name == "phase6a"]
    runs = MlflowClient().search_runs([experiment.experiment_id])
    return next(run.info.run_id for run in runs if run.info.run_name == STUDY)


def test_each_trial_tells_its_loss_in_each_market(
    evaluated: mlproject.Evaluated, markets: Path
) -> None:
    assert evaluated.run_id
    study = optuna.load_study(study_name=STUDY, storage="sqlite:///optuna.db")
    table = _table(_parent(), "validation_by_market.csv")
    columns = ["trial_number", "market", "windows", "val_loss", "prior_loss", "skill"]
    assert list(table.columns) == columns
    assert table["trial_number"].tolist() == [0, 0, 1, 1]
    assert _table(_parent(), "markets.csv")["market"].tolist() == ["'=nasdaq", "sp500"]
    assert table["market"].tolist() == ["'=nasdaq", "sp500"] * 2
    data = _windows(markets)
    assert table["windows"].tolist() == np.bincount(data.market_of(data.validation)).tolist() * 2
    for trial in study.get_trials(states=(optuna.trial.TrialState.COMPLETE,)):
        of_trial = table[table["trial_number"] == trial.number]
        assert of_trial["val_loss"].tolist() == trial.user_attrs["val_loss_by_market"]
        mean = np.average(of_trial["val_loss"], weights=of_trial["windows"])
        assert mean == pytest.approx(trial.value)
    assert (table["skill"] == 1 - table["val_loss"] / table["prior_loss"]).all()


def test_the_test_span_is_scored_over_all_markets_and_in_each(
    evaluated: mlproject.Evaluated, markets: Path
) -> None:
    data = _windows(markets, final=True)
    predictions = _table(evaluated.run_id, "predictions.csv")
    assert list(predictions.columns[:3]) == ["market", "date", "label"]
    assert len(predictions) == len(data.test)
    assert predictions["date"].is_monotonic_increasing
    metrics = MlflowClient().get_run(evaluated.run_id).data.metrics
    scores = _table(evaluated.run_id, "scores_by_market.csv")
    assert scores["market"].drop_duplicates().tolist() == ["'=nasdaq", "sp500"]
    for predictor, rows in scores.groupby("predictor"):
        mean = np.average(rows["test_loss"], weights=rows["windows"])
        name = "test_loss" if predictor == "network" else f"{predictor}.test_loss"
        assert mean == pytest.approx(metrics[name])
    said = f"tested on the {len(predictions)} windows of 2 markets that end from "
    first, last = predictions["date"].iloc[0], predictions["date"].iloc[-1]
    assert f"{said}{first} to {last}" in evaluated.text


def test_the_registered_model_is_asked_with_a_column_of_symbols(
    evaluated: mlproject.Evaluated, markets: Path
) -> None:
    model = mlflow.pyfunc.load_model(f"models:/{STUDY}/{evaluated.model_version}")
    bars = pd.concat(
        [pd.read_csv(markets / f"{name}.csv").assign(symbol=name) for name in reversed(NAMES)]
    )
    answer = model.predict(bars)
    assert list(answer.columns) == ["symbol", "date", "probability"]
    assert answer["symbol"].drop_duplicates().tolist() == ["sp500", "=nasdaq"]
    own = _table(evaluated.run_id, "predictions.csv")
    own["symbol"] = own["market"].str.lstrip("'")
    both = own.merge(answer, on=["symbol", "date"], how="left")
    np.testing.assert_allclose(both["probability"], both["network_1"], atol=1e-6)

    example = model.input_example
    assert example["symbol"].drop_duplicates().tolist() == NAMES
    data = _windows(markets, final=True, with_test=False)
    days = np.split(data.dates, data.market_starts[1:-1])
    for name, of_market in zip(NAMES, days, strict=True):
        last = example.loc[example["symbol"] == name, "date"].iloc[-1]
        assert last == str(of_market[-1])
    assert len(model.predict(example)) == 4
    assert not model.metadata.signature.inputs.input_dict()["symbol"].required
    with pytest.raises(mlflow.MlflowException, match="does not know DAX: it was trained on 2"):
        model.predict(example.assign(symbol="DAX"))
    with pytest.raises(mlflow.MlflowException, match="which market they are of"):
        model.predict(example.drop(columns="symbol").head(260))


def test_the_model_was_trained_until_the_last_day_of_any_market(
    evaluated: mlproject.Evaluated, markets: Path
) -> None:
    client = MlflowClient()
    folder = Path(client.get_model_version(STUDY, evaluated.model_version).source)
    (card,) = folder.rglob("model.json")
    data = _windows(markets, final=True, with_test=False)
    last = data.dates[data.train.numpy()].max()
    assert f'"trained_until": "{last}"' in card.read_text()


def test_audit_report_and_supplement_take_it_like_any_study(
    evaluated: mlproject.Evaluated, markets: Path
) -> None:
    assert evaluated.run_id
    (study,) = mlproject.audit("phase6a").found.studies
    assert (study.study_name, study.finished, study.planned) == (STUDY, 2, 2)
    assert len(mlproject.report("phase6a").trials) == 2
    planned = mlproject.supplement(SETTINGS, dry_run=True, data=str(markets))
    assert planned.study is None
    assert planned.trials


def test_a_launch_that_goes_on_keeps_the_table_whole(
    evaluated: mlproject.Evaluated, markets: Path
) -> None:
    """The last of this module: the study gets a third trial."""
    assert evaluated.run_id
    more = StudySettings.parse("100k", horizon=3, n_trials=3, max_epochs=2)
    mlproject.run_study(more, data=str(markets), device="cpu")
    table = _table(_parent(), "validation_by_market.csv")
    assert table["trial_number"].tolist() == [0, 0, 1, 1, 2, 2]
    study = optuna.load_study(study_name=STUDY, storage="sqlite:///optuna.db")
    of_last = table[table["trial_number"] == 2]
    mean = np.average(of_last["val_loss"], weights=of_last["windows"])
    assert mean == pytest.approx(study.trials[2].value)
