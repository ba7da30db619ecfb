"""Reading a column of dates as people and programs write them, never by guessing.

A date such as 01/02/2024 is decided by its whole column: by a day above 12 somewhere, or because
one of the two readings alone gives days that follow one another. Else it is refused.
"""

import re
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mlproject.data.bar_limits import MAX_GAP_DAYS
from mlproject.data.bar_numbers import is_empty, unread

_LAYOUTS = {
    "dates mm/dd/yyyy": "%m/%d/%Y",
    "dates dd/mm/yyyy": "%d/%m/%Y",
    "dates mm.dd.yyyy": "%m.%d.%Y",
    "dates dd.mm.yyyy": "%d.%m.%Y",
    "dates mm-dd-yyyy": "%m-%d-%Y",
    "dates dd-mm-yyyy": "%d-%m-%Y",
    "dates such as Jan 31, 2024": "%b %d, %Y",
    "dates such as 31-Jan-2024": "%d-%b-%Y",
    "dates such as 31 Jan 2024": "%d %b %Y",
}
"""Besides ISO 8601, which includes 1999-01-04, 19990104, 1999/01/04 and times of day."""

# A zone stands behind a time of day, so that the year of 04-01-1999 is not taken for one.
_ZONE_AFTER_TIME = re.compile(r"(:\d{2}(?:\.\d+)?) *(?:Z|UTC|[+-]\d{2}:?\d{2})$")
_DATE_AND_TIME = r"^(?P<date>.*\d{4}),? +(?P<time>\d{1,2}:\d{2}(?::\d{2})?)$"
_EPOCH = r"-?(?:\d{1,18}|[1-8]\d{18})(?:\.0*)?"  # within 64 bits
_FRACTION = r"\.0*$"
_EPOCH_UNITS = tuple(
    (f"{prefix}seconds", 1000**power) for power, prefix in enumerate(("", "milli", "micro", "nano"))
)
_EPOCH_DIGITS = 9
"""Of the latest second there is, from 1973 to the year 5138; eight could be YYYYMMDD."""
_FEW_TIMES = 4
"""Times of day that finished bars share: a close and an early one, each with a change of clocks."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Dates:
    """A column of dates."""

    stamps: pd.Series
    """datetime64 without a zone: of a time with one, the local time; NaT where a cell is none."""
    note: str = ""
    """How they were written where it was not as in ISO 8601."""
    doubtful: bool = False
    """Whether each could be day first or month first, and nothing in the column decides."""

    @property
    def days(self) -> pd.Series:
        """datetime64[us] at midnight."""
        days: pd.Series = self.stamps.dt.normalize().astype("datetime64[us]")
        return days


def read_dates(cells: pd.Series) -> Dates:
    """Read a column; of several readings that leave cells unread, the one that leaves fewest."""
    if pd.api.types.is_datetime64_any_dtype(cells.dtype):
        return Dates(stamps=cells.dt.tz_localize(None))
    # Whole numbers go through text too: pandas would read 19990104 as nanoseconds of 1970.
    text = cells.astype(str).str.strip().str.replace(_ZONE_AFTER_TIME, r"\1", regex=True)
    iso = Dates(stamps=pd.to_datetime(text, format="ISO8601", errors="coerce"))
    if not len(unread(iso.stamps, cells)):
        return iso
    epoch = _read_epoch(text, ~is_empty(cells))
    if epoch is not None:
        return epoch
    readings = [iso, *_read_layouts(text)]
    n_unread = [len(unread(reading.stamps, cells)) for reading in readings]
    complete = [reading for reading, n in zip(readings, n_unread, strict=True) if not n]
    if not complete:
        return readings[n_unread.index(min(n_unread))]
    if any(not reading.stamps.equals(complete[0].stamps) for reading in complete):
        daily = [reading for reading in complete if _is_daily(reading.days)]
        if len(daily) != 1:
            return Dates(stamps=complete[0].stamps, doubtful=True)
        complete = daily
    return complete[0]


def unfinished_time(stamps: pd.Series) -> str:
    """The time of day of the last of a column of stamps if no other has it, else empty.

    Finished bars are stamped at midnight, or at one of a few times at which a session opens or
    closes; the bar of a day that still goes on is stamped with the time of its last trade.
    """
    known = stamps.dropna()
    times = known - known.dt.normalize()
    if len(times) < 2:
        return ""
    others = times.iloc[:-1].unique()
    if len(others) > _FEW_TIMES or times.iloc[-1] in others:
        return ""
    return f"{known.iloc[-1]:%H:%M:%S}"


def _is_daily(days: pd.Series) -> bool:
    """Whether the days follow one another, in either direction, without a long gap."""
    steps = days.dropna().diff().dt.days.to_numpy()[1:]
    return bool(np.all((steps >= 0) & (steps <= MAX_GAP_DAYS))) or bool(
        np.all((steps >= -MAX_GAP_DAYS) & (steps <= 0))
    )


def _read_layouts(text: pd.Series) -> list[Dates]:
    """A reading by each layout whose marks are those of the first date with any."""
    dates, times = text, None
    if text.str.contains(":", regex=False).any():
        parts = text.str.extract(_DATE_AND_TIME)
        seconds = parts["time"].str.count(":") == 2
        times = pd.to_timedelta(
            parts["time"].where(seconds, parts["time"] + ":00"), errors="coerce"
        ).where(parts["time"].notna(), pd.Timedelta(0))
        dates = parts["date"].where(parts["time"].notna(), text)
    marks = next(filter(None, map(_marks, dates)), "")
    readings = []
    for note, layout in _LAYOUTS.items():
        if _marks(layout) == marks:
            stamps = pd.to_datetime(dates, format=layout, errors="coerce")
            readings.append(Dates(stamps=stamps if times is None else stamps + times, note=note))
    return readings


def _marks(date: str) -> str:
    return "".join(filter("/.-, ".__contains__, date))


def _read_epoch(text: pd.Series, filled: pd.Series) -> Dates | None:
    """Seconds or parts of them since 1970, whose unit is told by the latest; else None."""
    if not filled.any() or not text[filled].str.fullmatch(_EPOCH).all():
        return None
    numbers = text[filled].str.replace(_FRACTION, "", regex=True).astype("int64")
    power = len(str(numbers.abs().max())) - _EPOCH_DIGITS
    if power < 0:
        return None
    name, per_second = _EPOCH_UNITS[min(power // 3, len(_EPOCH_UNITS) - 1)]
    stamps = pd.to_datetime(numbers // per_second, unit="s", errors="coerce").reindex(text.index)
    return Dates(stamps=stamps, note=f"time in {name} of UTC")
