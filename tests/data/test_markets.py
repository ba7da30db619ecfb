"""Many markets in one study: found, read, checked, cut on the same days."""

import gzip
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlproject.data import bars_cache, long_files, windows
from mlproject.data.bar_files import UnreadableBarsFile
from mlproject.data.bar_markets import NamelessRows
from mlproject.data.bars import Bars, digest_of, load_bars
from mlproject.data.checks import BadBars
from mlproject.data.labels import Task, label_rows
from mlproject.data.load_markets import (
    SameMarketTwice,
    UnusableMarkets,
    checked_markets,
    load_markets,
)
from mlproject.data.market_table import market_table, remarks, what_data_tells
from mlproject.data.markets import Markets
from mlproject.data.splits import split_markets
from mlproject.data.windows import Thinning, TooFewRows, build_windows
from mlproject.models.arch_grid import WINDOW_DAYS
from tests.data.shapes import stooq, yfinance

ONE_PERCENT = Task(0.01)
NAMES = ("aaa", "bbb", "ccc")

Written = Callable[[Path], dict[str, pd.DataFrame]]


@pytest.fixture(scope="session")
def frames(make_frame) -> dict[str, pd.DataFrame]:
    return {name: make_frame(700, seed=seed) for seed, name in enumerate(NAMES)}


@pytest.fixture
def folder(frames, tmp_path: Path) -> Path:
    path = tmp_path / "stocks"
    path.mkdir()
    for name, frame in frames.items():
        frame.to_csv(path / f"{name}.csv", index=False)
    return path


def long(frames: dict[str, pd.DataFrame], column: str = "symbol") -> pd.DataFrame:
    """The rows of all markets in one table, day by day."""
    rows = pd.concat([frame.assign(**{column: name}) for name, frame in frames.items()])
    return rows.sort_values(["date", column])


def same(markets: Markets, frames: dict[str, pd.DataFrame]) -> bool:
    return {bars.name: bars.digest for bars in markets.each} == {
        name: digest_of(frame) for name, frame in frames.items()
    }


def test_a_folder_is_the_markets_of_its_files(folder: Path, frames):
    (folder / ".hidden.csv").write_text("nothing")
    (folder / "about.md").write_text("nothing")
    (folder / "more").mkdir()
    (folder / "ccc.csv").rename(folder / "more" / "ccc.csv")
    markets = load_markets(str(folder))
    assert same(markets, frames)
    assert markets.name == "stocks"
    assert markets.notes == ("1 other file left alone: about.md",)
    assert markets.source_shape == (
        "3 markets (3 of plain columns), 2,100 rows, 2010-01-06 to 2012-09-11"
    )


def test_a_pattern_names_some_of_them(folder: Path, frames):
    markets = load_markets(f"{folder}/[ab]*.csv")
    assert same(markets, {name: frames[name] for name in ("aaa", "bbb")})
    assert markets.name == "stocks"
    with pytest.raises(UnreadableBarsFile, match="no file there ends in"):
        load_markets(f"{folder}/x*.csv")


@pytest.mark.parametrize("column", ["symbol", "Name", "<TICKER>"])
@pytest.mark.parametrize("ending", [".csv", ".csv.gz", ".parquet"])
def test_a_long_file_is_the_markets_that_a_column_names(
    column: str, ending: str, frames, tmp_path: Path
):
    path = tmp_path / f"stocks{ending}"
    table = long(frames, column)
    if ending == ".parquet":
        table.to_parquet(path)
    else:
        table.to_csv(path, index=False)
    markets = load_markets(str(path))
    assert same(markets, frames)
    assert markets.name == "stocks"


def test_a_download_of_several_tickers_is_taken_apart(frames, tmp_path: Path):
    whole = pd.concat([yfinance(frame, tickers=(name,)) for name, frame in frames.items()], axis=1)
    whole.to_csv(tmp_path / "wide.csv")
    whole.to_parquet(tmp_path / "wide.parquet")
    later = {**frames, "ccc": frames["ccc"].iloc[50:].reset_index(drop=True)}
    of_years = pd.concat([yfinance(f, tickers=(name,)) for name, f in later.items()], axis=1)
    of_years.to_csv(tmp_path / "years.csv")
    for name, made in (("wide.csv", frames), ("wide.parquet", frames), ("years.csv", later)):
        markets = load_markets(str(tmp_path / name))
        assert same(markets, made), name


def test_a_file_too_large_to_hold_is_gone_through_line_by_line(
    frames, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    table = long(frames).assign(note='"quoted, with a comma"')
    text = table.to_csv(index=False)
    (tmp_path / "a.csv").write_text(text)
    (tmp_path / "b.csv.gz").write_bytes(gzip.compress(text.encode()))
    with monkeypatch.context() as patch:
        patch.setattr(long_files, "MAX_FILE_BYTES", 1000)
        for name in ("a.csv", "b.csv.gz"):
            assert long_files.is_long(tmp_path / name)
            assert same(load_markets(str(tmp_path / name)), frames)
        broken = text.splitlines()
        broken[5] = broken[5].replace("2010", "never")
        (tmp_path / "c.csv").write_text("\n".join(broken))
        with pytest.raises(UnusableMarkets, match=r"1 of 3 markets .*: line 6 \('never"):
            load_markets(str(tmp_path / "c.csv"))
        frames["aaa"].to_csv(tmp_path / "one.csv", index=False)
        with pytest.raises(UnreadableBarsFile, match="holds more than"):
            load_markets(str(tmp_path / "one.csv"))


def test_rows_without_a_market_are_refused(frames, tmp_path: Path, monkeypatch):
    table = long(frames)
    table.iloc[[3, 8], table.columns.get_loc("symbol")] = " "
    path = tmp_path / "long.csv"
    table.to_csv(path, index=False)
    said = "column symbol: 2 rows without a market: lines 5, 10"
    with pytest.raises(NamelessRows, match=said):
        load_markets(str(path))
    monkeypatch.setattr(long_files, "MAX_FILE_BYTES", 1000)
    with pytest.raises(NamelessRows, match=said):
        load_markets(str(path))


def test_two_markets_of_one_name_are_refused(folder: Path):
    (folder / "old").mkdir()
    (folder / "old" / "aaa.txt").write_bytes((folder / "aaa.csv").read_bytes())
    with pytest.raises(SameMarketTwice, match=r"two markets are called aaa: .*aaa\.csv and .*aaa"):
        load_markets(str(folder))


def test_a_market_that_cannot_be_used_is_refused_by_name_or_left_out(folder: Path, frames):
    (folder / "empty.csv").write_text("")
    weekly = frames["aaa"].assign(date=pd.date_range("2000-01-07", periods=700, freq="7D"))
    weekly.to_csv(folder / "weekly.csv", index=False)
    with pytest.raises(UnusableMarkets) as caught:
        load_markets(str(folder))
    line = str(caught.value)
    assert "2 of 5 markets cannot be used" in line
    assert f"{folder}/empty.csv: the file is empty" in line
    assert "these are weekly bars" in line
    assert "bad_markets=leave_out" in line
    for _ in range(2):  # the second time from what was kept
        markets = load_markets(str(folder), bad_markets="leave_out")
        assert same(markets, frames)
        assert sorted(markets.left_out) == ["empty", "weekly"]
        data = build_windows(markets, horizon_days=3, task=ONE_PERCENT)
        said = remarks(markets, data)
        assert any("left out: " in line and "weekly bars" in line for line in said)
        table = market_table(markets, data).set_index("market")
        assert "weekly bars" in table["left_out"]["weekly"]


def test_where_no_market_can_be_used_nothing_is_left_out(folder: Path):
    for path in folder.iterdir():
        path.write_text("")
    with pytest.raises(UnusableMarkets, match="3 of 3 markets cannot be used"):
        load_markets(str(folder), bad_markets="leave_out")


def test_one_market_is_what_it_was(small_market: Path):
    markets = load_markets(str(small_market))
    alone = load_bars(str(small_market))
    assert (markets.name, markets.digest) == (alone.name, alone.digest)
    assert markets.source_shape == alone.source_shape
    assert markets.each[0].name == alone.name


def test_bars_are_checked_before_they_are_markets(make_frame, as_bars):
    assert checked_markets(as_bars(make_frame())).name == "made"
    with pytest.raises(BadBars):
        checked_markets(as_bars(make_frame(50)))


def test_what_was_read_once_is_not_read_again(folder: Path, frames, monkeypatch, caplog):
    first = load_markets(str(folder))
    with monkeypatch.context() as patch:
        patch.setattr("mlproject.data.load_markets.read_table", None)
        again = load_markets(str(folder))
    assert same(again, frames)
    assert (again.digest, again.source_shape) == (first.digest, first.source_shape)
    # What is damaged is noticed, and what has changed is another entry.
    entry = bars_cache.entry_of(folder / "aaa.csv", str(folder / "aaa.csv"), {})
    entry.write_bytes(entry.read_bytes()[:-2000])
    assert same(load_markets(str(folder)), frames)
    assert "made anew" in caplog.text
    changed = frames["aaa"].iloc[:-1]
    changed.to_csv(folder / "aaa.csv", index=False)
    assert same(load_markets(str(folder)), {**frames, "aaa": changed})


def test_a_cache_that_cannot_be_written_costs_nothing_else(
    folder: Path, frames, tmp_path, monkeypatch, caplog
):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MLPROJECT_CACHE", str(tmp_path / "file" / "cache"))
    assert same(load_markets(str(folder)), frames)
    assert "could not be kept" in caplog.text


def as_markets(frames: dict[str, pd.DataFrame]) -> Markets:
    return Markets(
        name="made",
        source="made",
        each=tuple(
            Bars(
                name=name,
                source=name,
                frame=frames[name].reset_index(drop=True),
                digest=digest_of(frames[name]),
            )
            for name in sorted(frames)
        ),
    )


spans = st.lists(
    st.tuples(st.integers(0, 900), st.integers(200, 900), st.integers(0, 2)),
    min_size=1,
    max_size=4,
)


@given(spans=spans, horizon_days=st.integers(1, 20))
@settings(max_examples=60)
def test_no_window_and_no_label_reaches_where_it_must_not(
    make_frame: Callable[..., pd.DataFrame],
    spans: list[tuple[int, int, int]],
    horizon_days: int,
):
    whole = make_frame(2000, freq="D")
    frames = {
        f"m{number}": whole.iloc[start : start + rows : 1 + (gap == 2)]
        for number, (start, rows, gap) in enumerate(spans)
    }
    markets = as_markets(frames)
    try:
        data = build_windows(markets, horizon_days=horizon_days, task=ONE_PERCENT)
    except TooFewRows:
        return
    days = {name: data.dates[getattr(data, name).numpy()] for name in ("train", "validation")}
    days["test"] = data.dates[data.test.numpy()]
    first = {name: of_split.min() for name, of_split in days.items()}
    for name, later in (("train", "validation"), ("validation", "test")):
        assert days[name].max() < first[later]
        ends = getattr(data, name).numpy()
        # The last day that a label looks at is in the market's own rows, and before the cut.
        assert (
            data.market_of(getattr(data, name)) == _market_of_row(data, ends + horizon_days)
        ).all()
        assert (data.dates[ends + horizon_days] < first[later]).all()
    for name in ("train", "validation", "test"):
        ends = getattr(data, name).numpy()
        assert (_market_of_row(data, ends) == _market_of_row(data, ends - WINDOW_DAYS + 1)).all()
    for position, name in enumerate(data.markets):
        rows = slice(*data.market_starts[position : position + 2])
        labels = label_rows(
            frames[name], horizon_days=horizon_days, task=ONE_PERCENT, label_price="close"
        )
        np.testing.assert_array_equal(data.labels[rows].numpy(), labels)


def _market_of_row(data: windows.WindowedData, rows: np.ndarray) -> np.ndarray:
    return np.searchsorted(data.market_starts, rows, side="right") - 1


def test_a_market_among_others_has_the_features_it_has_alone(frames):
    together = build_windows(as_markets(frames), horizon_days=3, task=ONE_PERCENT)
    for position, name in enumerate(NAMES):
        alone = build_windows(as_markets({name: frames[name]}), horizon_days=3, task=ONE_PERCENT)
        rows = slice(*together.market_starts[position : position + 2])
        np.testing.assert_array_equal(together.features[rows].numpy(), alone.features.numpy())
        np.testing.assert_array_equal(together.scaling_mean[position], alone.scaling_mean[0])
    assert len(together.train) == 3 * len(alone.train)


def test_the_order_of_files_and_rows_changes_nothing(frames, tmp_path: Path):
    digests, features = set(), []
    for seed in range(2):
        shuffled = list(frames.items())
        random.Random(seed).shuffle(shuffled)
        path = tmp_path / "long.csv"
        pd.concat([frame.assign(symbol=name) for name, frame in shuffled]).to_csv(path, index=False)
        markets = load_markets(str(path))
        digests.add(markets.digest)
        features.append(build_windows(markets, horizon_days=3, task=ONE_PERCENT).features.numpy())
    assert len(digests) == 1
    np.testing.assert_array_equal(*features)


def test_a_market_alone_is_cut_as_by_its_rows():
    days = pd.bdate_range("1999-01-04", periods=5031).to_numpy()
    (by_day,) = split_markets([days], horizon_days=3)
    (by_row,) = split_markets([np.arange(5031)], horizon_days=3)
    assert by_day == by_row
    assert (by_day.train[0], by_day.validation[0], by_day.test[0]) == (258, 3599, 4315)


def test_a_market_too_short_for_a_split_is_left_out_of_it(make_frame):
    whole = make_frame(2000, freq="D")
    frames = {
        "dead": whole.iloc[:700],  # ends before validation begins
        "late": whole.iloc[1400:],  # begins after training has ended
        "long": whole,
    }
    markets = as_markets(frames)
    data = build_windows(markets, horizon_days=3, task=ONE_PERCENT)
    assert data.markets == ("dead", "long")
    table = market_table(markets, data).set_index("market")
    assert table.loc["dead", ["validation_windows", "test_windows"]].tolist() == [0, 0]
    assert table.loc["dead", "train_windows"] == 700 - 258 - 3
    assert "no day to train on" in table.loc["late", "left_out"]
    assert any("late (1 market)" in line for line in remarks(markets, data))
    final = build_windows(markets, horizon_days=3, task=ONE_PERCENT, final=True, with_test=False)
    assert final.dates.max() < data.dates[data.test.numpy()].min()
    assert len(final.dates) < len(data.dates)


def test_markets_without_common_days_are_refused(make_frame):
    whole = make_frame(3000, freq="D")
    markets = as_markets({"old": whole.iloc[:1000], "new": whole.iloc[2350:]})
    with pytest.raises(TooFewRows, match="too few days in common"):
        build_windows(markets, horizon_days=60, task=ONE_PERCENT)
    said = remarks(markets, build_windows(markets, horizon_days=3, task=ONE_PERCENT))
    assert said == [
        "no day is common to all markets: one ends on 2012-10-01, another begins on 2016-06-13"
    ]


def test_calendars_that_differ_are_said(make_frame):
    frames = {"crypto": make_frame(1400, freq="D"), "stock": make_frame(1000, freq="B")}
    markets = as_markets(frames)
    data = build_windows(markets, horizon_days=3, task=ONE_PERCENT)
    (said,) = remarks(markets, data)
    assert said.startswith("calendars differ: stock has no row on 28.6% of the days")


def test_more_validation_windows_than_needed_are_thinned_over_days_and_markets(frames):
    markets = as_markets(frames)
    whole = build_windows(markets, horizon_days=3, task=ONE_PERCENT)
    thinned = build_windows(
        markets, horizon_days=3, task=ONE_PERCENT, validation_thinning=Thinning(most=50)
    )
    assert len(thinned.validation) == 50
    assert set(thinned.validation.tolist()) < set(whole.validation.tolist())
    assert np.bincount(thinned.market_of(thinned.validation)).min() >= 15
    days = np.diff(np.unique(thinned.dates[thinned.validation.numpy()]).astype(int))
    assert days.max() <= 5
    assert len(thinned.train) == len(whole.train)
    assert len(thinned.test) == len(whole.test)


@pytest.mark.parametrize(
    ("rows", "count", "said"),
    [(5000, 1, "too few to tell architectures"), (2000, 8, "few to tell"), (5000, 8, "enough")],
)
def test_a_sentence_says_what_the_data_can_tell(rows: int, count: int, said: str, make_frame):
    frames = {f"m{n}": make_frame(rows, seed=n) for n in range(count)}
    data = build_windows(as_markets(frames), horizon_days=3, task=ONE_PERCENT)
    sentence = what_data_tells(data)
    assert f"{len(data.train):,} training windows of 60 days" in sentence
    assert f"of {count} market{'s' * (count > 1)}: {said}" in sentence


def test_the_embedded_indices_are_one_study():
    markets = load_markets("us_indices")
    assert [bars.name for bars in markets.each] == ["nasdaq", "sp500"]
    data = build_windows(markets, horizon_days=3, task=ONE_PERCENT)
    alone = build_windows(load_bars("sp500"), horizon_days=3, task=ONE_PERCENT)
    assert len(data.train) == 2 * len(alone.train)


def test_stooqs_own_folders_are_read(frames, tmp_path: Path):
    for name, frame in frames.items():
        path = tmp_path / "d_us_txt" / "nasdaq stocks" / f"{name}.us.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        stooq(frame).to_csv(path, index=False)
    markets = load_markets(str(tmp_path / "d_us_txt"))
    assert [bars.name for bars in markets.each] == [f"{name}.us" for name in NAMES]


def test_markets_without_volume_are_refused_unless_the_user_says_so(frames, tmp_path: Path):
    for name, frame in frames.items():
        frame.drop(columns="volume").to_csv(tmp_path / f"{name}.csv", index=False)
    with pytest.raises(UnusableMarkets, match=r"missing column volume .*volume=none"):
        load_markets(str(tmp_path))
    markets = load_markets(str(tmp_path), {"volume": None})
    assert markets.each[0].source_shape == "plain columns, no volume, 700 rows"
    data = build_windows(markets, horizon_days=3, task=ONE_PERCENT)
    whole = build_windows(as_markets(frames), horizon_days=3, task=ONE_PERCENT)
    assert data.n_features == 21
    kept = [whole.feature_names.index(name) for name in data.feature_names]
    assert not {"volume", "obv", "adosc", "vwap_20"} & set(data.feature_names)
    np.testing.assert_array_equal(data.features.numpy(), whole.features[:, kept].numpy())
    # A volume that is there is not read, and the checks that need none still hold.
    frames["aaa"].assign(volume=0.0).to_csv(tmp_path / "aaa.csv", index=False)
    assert load_markets(str(tmp_path), {"volume": None}).digest == markets.digest
    frames["aaa"].assign(close=-1).to_csv(tmp_path / "aaa.csv", index=False)
    with pytest.raises(UnusableMarkets, match="close must be above 0"):
        load_markets(str(tmp_path), {"volume": None})


def test_one_market_without_volume_is_checked_too(make_frame, tmp_path: Path):
    path = tmp_path / "eurusd.csv"
    make_frame().drop(columns="volume").to_csv(path, index=False)
    (bars,) = load_markets(str(path), {"volume": None}).each
    assert not bars.has_volume
    assert (bars.frame["volume"] == 0).all()
