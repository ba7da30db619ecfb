import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mlproject
from mlproject.data.bars import REQUIRED_COLUMNS, Bars, digest_of, load_bars

THREE_DAYS = """Date,Open,High,Low,Close,Volume
2020-01-02,1,3,0.5,2,10
2020-01-03,2,4,1,3,20
2020-01-06,3,5,2,4,0
"""


@pytest.fixture
def csv_of(tmp_path: Path):
    def write(text: str) -> str:
        path = tmp_path / "market.csv"
        path.write_text(text)
        return str(path)

    return write


def days(bars: Bars) -> list[str]:
    return [f"{date:%Y-%m-%d}" for date in bars.frame["date"]]


def test_the_sample_is_twenty_years_of_the_sp500(sp500: Bars):
    assert (sp500.name, sp500.source) == ("sp500", "arch.data.sp500")
    assert len(sp500.frame) == 5031
    assert days(sp500)[0] == "1999-01-04"
    assert days(sp500)[-1] == "2018-12-31"
    assert sp500.digest == "2532484cbc9ad02a"


def test_the_sample_is_what_arch_itself_loads(sp500: Bars):
    import arch.data.sp500

    theirs = arch.data.sp500.load()
    assert (sp500.frame["date"].to_numpy() == theirs.index.to_numpy()).all()
    ours = sp500.frame[["open", "high", "low", "close", "volume"]]
    np.testing.assert_allclose(ours, theirs[["Open", "High", "Low", "Close", "Volume"]], rtol=1e-15)


@pytest.mark.slow
def test_loading_the_sample_imports_no_slow_package():
    program = (
        "import sys, mlproject.data.checks, mlproject.data.windows;"
        "from mlproject.data.bars import load_bars; load_bars('sp500');"
        "print([m for m in ('arch', 'statsmodels', 'great_expectations', 'optuna', 'mlflow')"
        " if m in sys.modules])"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(mlproject.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        check=False,
        capture_output=True,
        text=True,
    )
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


def test_csv_gzip_and_parquet_give_the_same_bars(make_frame, tmp_path: Path):
    frame = make_frame(50)
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.to_csv(tmp_path / "b.csv.gz", index=False)
    frame.to_parquet(tmp_path / "c.parquet")
    loaded = [load_bars(str(tmp_path / name)) for name in ("a.csv", "b.csv.gz", "c.parquet")]
    assert [bars.name for bars in loaded] == ["a", "b", "c"]
    for bars in loaded:
        pd.testing.assert_frame_equal(bars.frame, frame)
        assert bars.digest == digest_of(frame)


@settings(max_examples=30, deadline=None)
@given(numbers=st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=5, max_size=50))
def test_any_number_has_the_same_digest_from_csv_and_parquet(numbers, tmp_path_factory):
    folder = tmp_path_factory.mktemp("digest")
    rows = len(numbers) // 5
    frame = pd.DataFrame(
        np.array(numbers[: rows * 5]).reshape(rows, 5), columns=list(REQUIRED_COLUMNS[1:])
    )
    frame.insert(0, "date", pd.date_range("2020-01-01", periods=rows))
    frame.to_csv(folder / "a.csv", index=False)
    frame.to_parquet(folder / "a.parquet")
    first, second = load_bars(f"{folder}/a.csv"), load_bars(f"{folder}/a.parquet")
    assert first.digest == second.digest
    assert len(first.digest) == 16


def test_the_digest_sees_the_smallest_change_of_any_column(make_frame):
    frame = make_frame(20)
    digests = {digest_of(frame)}
    for column in REQUIRED_COLUMNS:
        changed = frame.copy()
        if column == "date":
            changed.loc[19, column] += pd.Timedelta(days=1)
        else:
            changed.loc[19, column] = np.nextafter(changed.loc[19, column], np.inf)
        digests.add(digest_of(changed))
    assert len(digests) == 7


def test_columns_are_found_by_name_in_any_case_and_order(csv_of, caplog):
    caplog.set_level("INFO")
    bars = load_bars(
        csv_of(" VOLUME ,close,Adj Close,LOW,High,oPen,Date\n10,2,1.9,0.5,3,1,2020-01-02\n")
    )
    assert tuple(bars.frame.columns) == REQUIRED_COLUMNS
    assert bars.frame.iloc[0, 1:].tolist() == [1, 3, 0.5, 2, 10]
    assert "ignoring Adj Close" in caplog.text


@pytest.mark.parametrize("name", ["Date", "date ", None])
def test_the_date_may_be_the_index(name, tmp_path: Path, make_frame):
    frame = make_frame(5)
    indexed = frame.set_index("date").rename_axis(name)
    indexed.to_parquet(tmp_path / "m.parquet")
    indexed.to_csv(tmp_path / "m.csv")
    for file in ("m.parquet", "m.csv"):
        pd.testing.assert_frame_equal(load_bars(str(tmp_path / file)).frame, frame)


def test_a_plain_row_index_of_parquet_is_no_column(tmp_path: Path, make_frame):
    make_frame(5).iloc[2:].to_parquet(tmp_path / "m.parquet")
    assert len(load_bars(str(tmp_path / "m.parquet")).frame) == 3


@pytest.mark.parametrize(
    "written",
    [
        ["2020-01-02", "2020-01-03", "2020-01-06"],
        ["20200102", "20200103", "20200106"],
        ["1/2/2020", "1/3/2020", "1/6/2020"],
        ["2020-01-02 16:00:00", "2020-01-03 16:00:00", "2020-01-06 13:00:00"],
        ["2020-01-02T23:30:00Z", "2020-01-03T23:30:00Z", "2020-01-06T23:30:00Z"],
        # A change of the clocks changes the offset; the date stays the exchange's own.
        ["2020-01-02 00:00:00-05:00", "2020-01-03 23:59:59-05:00", "2020-01-06 00:00:00-04:00"],
    ],
)
def test_dates_are_read_as_local_calendar_dates(written, csv_of):
    lines = [f"{date},1,1,1,1,1" for date in written]
    bars = load_bars(csv_of("\n".join(["date,open,high,low,close,volume", *lines])))
    assert days(bars) == ["2020-01-02", "2020-01-03", "2020-01-06"]


def test_dates_of_any_parquet_type_are_local_calendar_dates(tmp_path: Path, make_frame):
    frame = make_frame(3)
    expected = [f"{date:%Y-%m-%d}" for date in frame["date"]]
    late = (frame["date"] + pd.Timedelta(hours=23)).dt.tz_localize("America/New_York")
    numbers = frame["date"].dt.strftime("%Y%m%d").astype(int)
    for dates in (late, frame["date"].dt.date, frame["date"].astype("datetime64[ns]"), numbers):
        frame.assign(date=dates).to_parquet(tmp_path / "m.parquet")
        assert days(load_bars(str(tmp_path / "m.parquet"))) == expected


def test_an_empty_cell_is_left_to_the_checks(csv_of):
    bars = load_bars(csv_of(THREE_DAYS.replace("2020-01-03,2,4,1,3,20", ",2,4,1, ,20")))
    assert bars.frame.isna().sum().to_dict() == {c: c in ("date", "close") for c in bars.frame}


def test_blank_lines_a_byte_order_mark_and_crlf_do_no_harm(csv_of):
    text = "\ufeff" + THREE_DAYS.replace("\n", "\n\n")
    assert len(load_bars(csv_of(text)).frame) == 3
    assert len(load_bars(csv_of(THREE_DAYS.replace("\n", "\r\n"))).frame) == 3


def test_bars_refuse_a_frame_that_is_not_what_they_promise(make_frame):
    good = make_frame(5)
    for bad in (good.drop(columns="low"), good.astype({"volume": int}), good.iloc[1:]):
        with pytest.raises(ValueError, match="must"):
            Bars(name="x", source="x", frame=bad, digest="")
