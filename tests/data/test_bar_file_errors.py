"""Each mistake in a file of bars gives one line that says what, where and what to do."""

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mlproject.data.bar_columns import (
    AmbiguousColumns,
    AmbiguousValues,
    MissingColumns,
    UnparsableValues,
)
from mlproject.data.bar_files import (
    MAX_FILE_BYTES,
    MAX_PARQUET_ROWS,
    BarsFileMissing,
    UnreadableBarsFile,
    UnsupportedBarsFile,
)
from mlproject.data.bars import load_bars
from mlproject.errors import UserError

HEADER = "Date,Open,High,Low,Close,Volume\n"
ROW = "2020-01-02,1,3,0.5,2,10\n"
CUT_GZIP = gzip.compress((HEADER + ROW * 999).encode(), mtime=0)[:60]  # the same in every process


def complaint(kind: type[UserError], path: Path | str) -> str:
    """The one line that loading `path` raises, without the path it starts with."""
    with pytest.raises(kind) as caught:
        load_bars(str(path))
    line = str(caught.value)
    assert "\n" not in line
    assert line.startswith(f"{path}: ")
    return line.removeprefix(f"{path}: ")


def test_a_missing_file_is_named_with_the_place_looked_in(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert f"looked in {tmp_path}/no.csv" in complaint(BarsFileMissing, "no.csv")


@pytest.mark.parametrize("source", ["SP500", "spx", "bars.xlsx", "bars.json.gz", "csv"])
def test_an_unknown_source_is_told_what_can_be_read(source):
    said = complaint(UnsupportedBarsFile, source)
    assert "'sp500' or a path ending in .csv, .csv.gz, .txt or .parquet" in said


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", b"", "the file is empty"),
        ("a.csv", b"\n\n", "the file is empty"),
        ("a.csv", HEADER.encode(), "holds no rows"),
        ("a.csv", b"\xff\xfe\x00Date", "cannot be read as a CSV file in UTF-8"),
        ("a.csv.gz", HEADER.encode(), "Not a gzipped file"),
        ("a.csv.gz", CUT_GZIP, "cannot be read as a CSV"),
        ("a.csv", (HEADER + ROW + "2020-01-03,1,2\n").encode(), "line 3 has 3 fields where"),
        ("a.parquet", b"", "cannot be read as a Parquet file"),
        ("a.parquet", HEADER.encode() * 9, "cannot be read as a Parquet file"),
    ],
)
def test_a_damaged_file_is_refused(name, content, said, tmp_path: Path):
    (tmp_path / name).write_bytes(content)
    assert said in complaint(UnreadableBarsFile, tmp_path / name)


@pytest.mark.parametrize("kept", [10, 200, 1500, -9])
def test_a_cut_parquet_file_is_refused(kept, tmp_path: Path, make_frame):
    path = tmp_path / "a.parquet"
    make_frame(100).to_parquet(path)
    path.write_bytes(path.read_bytes()[:kept])
    assert "cannot be read as a Parquet file" in complaint(UnreadableBarsFile, path)


@pytest.mark.parametrize("name", ["a.csv", "markets"])
def test_a_folder_is_no_file(name, tmp_path: Path):
    (tmp_path / name).mkdir()
    said = complaint(UnreadableBarsFile, tmp_path / name)
    assert "Is a directory; give one file of it" in said


@pytest.mark.parametrize("address", ["https://stooq.com/q/d/l/?s=^spx", "s3://bucket/bars.csv"])
def test_an_address_is_no_file(address):
    said = complaint(UnsupportedBarsFile, address)
    assert "download the file first and give its path" in said


@pytest.mark.parametrize("name", ["a.csv", "a.txt", "a.csv.gz", "a.parquet"])
def test_a_large_file_is_refused_before_it_is_read(name, tmp_path: Path, monkeypatch):
    with (tmp_path / name).open("wb") as file:
        file.truncate(2 << 30)  # two gigabytes that take no room
    monkeypatch.setattr("builtins.open", None)
    monkeypatch.setattr("gzip.open", None)
    assert "holds more than 67,108,864 bytes" in complaint(UnreadableBarsFile, tmp_path / name)


def test_rows_without_a_header_are_told_what_to_write(tmp_path: Path):
    (tmp_path / "a.csv").write_text("2020-01-02,1,3,0.5,2,10\n2020-01-03,1,3,0.5,2,10\n")
    said = complaint(UnreadableBarsFile, tmp_path / "a.csv")
    assert "the first line names no columns ('2020-01-02,1,3,0.5,2,10'); write one that" in said


def test_a_bad_cell_among_numbers_with_marks_is_shown_alone(tmp_path: Path):
    row = "02/01/2020;1.234,5;1.234,5;1.234,5;{};10\n"
    text = "Date;Open;High;Low;Close;Volume\n" + row.format("1.234,5") * 9 + row.format("1,2,3")
    dates = pd.date_range("2020-01-20", periods=10).strftime("%d/%m/%Y")
    for date in dates:
        text = text.replace("02/01/2020", date, 1)
    (tmp_path / "a.csv").write_text(text)
    said = complaint(UnparsableValues, tmp_path / "a.csv")
    assert "column close: 1 value is not a number: line 11 ('1,2,3'); write plain" in said


def test_a_parquet_file_without_rows_is_refused(tmp_path: Path, make_frame):
    make_frame(5).iloc[:0].to_parquet(tmp_path / "a.parquet")
    assert "holds no rows" in complaint(UnreadableBarsFile, tmp_path / "a.parquet")


def test_all_missing_columns_are_named_with_those_found(tmp_path: Path):
    path = tmp_path / "a.csv"
    path.write_text("Date,Open,Price,Close\n2020-01-02,1,2,3\n")
    said = complaint(MissingColumns, path)
    assert "missing columns high, low, volume; found Date, Open, Price, Close" in said


def test_a_strange_first_line_is_shown_as_one_short_line(tmp_path: Path):
    path = tmp_path / "a.csv"
    path.write_text('"Date\n(New York)",' + "x" * 9999 + "\n1,2\n")
    said = complaint(MissingColumns, path)
    assert "found Date (New York), xxx" in said
    assert len(said) < 500


@pytest.mark.parametrize("twin", ["close", " Close ", "Close"])
def test_two_columns_of_one_name_are_refused(twin, tmp_path: Path):
    path = tmp_path / "a.csv"
    path.write_text(f"Date,Open,High,Low,Close,Volume,{twin}\n{ROW.strip()},7\n")
    assert f"columns 'Close' and '{twin}' are both 'close'" in complaint(AmbiguousColumns, path)


def test_an_index_and_a_column_of_one_name_are_refused(tmp_path: Path, make_frame):
    make_frame(5).set_index("date", drop=False).to_parquet(tmp_path / "a.parquet")
    assert "are both 'date'" in complaint(AmbiguousColumns, tmp_path / "a.parquet")


def test_bad_numbers_are_shown_by_line_with_their_count(tmp_path: Path):
    path = tmp_path / "a.csv"
    bad = ["n/a", "1,228.09", "1_000", "--", "x" * 500]
    rows = [ROW] + [f'2020-01-03,1,3,0.5,"{value}",10\n' for value in bad]
    path.write_text(HEADER + "\n" + "".join(rows))
    said = complaint(UnparsableValues, path)
    assert "column close: 5 values are not numbers: line 4 ('n/a'), line 5 ('1,228.09'), " in said
    assert "line 6 ('1_000'); write" in said
    assert len(said) < 300


def test_bad_values_of_parquet_are_shown_by_row(tmp_path: Path, make_frame):
    frame = make_frame(5).astype({"low": str})
    frame.loc[2, "low"] = "halted"
    frame.to_parquet(tmp_path / "a.parquet")
    said = complaint(UnparsableValues, tmp_path / "a.parquet")
    assert "column low: 1 value is not a number: row 3 ('halted')" in said


@pytest.mark.parametrize(
    "date", ["yesterday", "2020-02-30", "5", "13/01/2020", "9" * 19, "9" * 99, "1/2/20"]
)
def test_a_date_that_is_none_is_shown_by_line(date, tmp_path: Path):
    path = tmp_path / "a.csv"
    path.write_text(HEADER + ROW + ROW.replace("2020-01-02", date))
    said = complaint(UnparsableValues, path)
    said_of = f"line 3 ({date[:40]!r}); write all dates as"
    assert f"column date: 1 value is not a date: {said_of}" in said


@pytest.mark.parametrize("mark", ["/", ".", "-"])
@pytest.mark.parametrize("days", [["02/01/2020"], ["02/01/2020", "05/04/2020", "09/07/2020"]])
def test_dates_whose_day_may_be_the_month_are_refused(days, mark, tmp_path: Path):
    path = tmp_path / "a.csv"
    dates = [day.replace("/", mark) for day in days]
    path.write_text(HEADER + "".join(ROW.replace("2020-01-02", date) for date in dates))
    said = complaint(AmbiguousValues, path)
    assert "column date: each could be day first or month first, as in line 2 " in said
    assert f"('{dates[0]}'); write all dates as YYYY-MM-DD" in said


def test_a_mark_that_may_be_of_thousands_is_refused(tmp_path: Path):
    path = tmp_path / "a.csv"
    path.write_text("Date;Open;High;Low;Close;Volume\n2020-01-02;1.234;2.345;1.111;2.222;10\n")
    said = complaint(AmbiguousValues, path)
    assert "no number in the file decides: open '1.234' could be 1.234 or 1234, high " in said


def test_a_whole_number_that_is_no_date_is_not_read_as_nanoseconds(tmp_path: Path, make_frame):
    frame = make_frame(5).assign(date=range(5))
    frame.to_parquet(tmp_path / "a.parquet")
    assert "5 values are not dates" in complaint(UnparsableValues, tmp_path / "a.parquet")


def test_a_small_file_that_unpacks_without_end_is_refused(tmp_path: Path):
    packed = tmp_path / "bomb.csv.gz"
    with gzip.open(packed, "wb", compresslevel=1) as bomb:
        for _ in range(MAX_FILE_BYTES // (1 << 20) + 1):
            bomb.write(b"\n" * (1 << 20))
    assert "holds more than 67,108,864 bytes" in complaint(UnreadableBarsFile, packed)
    many = tmp_path / "bomb.parquet"
    pd.DataFrame({"close": np.zeros(MAX_PARQUET_ROWS + 1)}).to_parquet(many)
    assert "holds 1,000,001 rows" in complaint(UnreadableBarsFile, many)
