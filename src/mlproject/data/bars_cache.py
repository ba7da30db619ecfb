"""Markets that were read and checked once, kept so that the next launch need not do so again.

An entry is known by the bytes of its file, by what was asked of it and by the program that read it,
so it is never stale. The folder may be deleted at any time.
"""

import contextlib
import hashlib
import json
import logging
import os
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from mlproject.data.bars import Bars, digest_of
from mlproject.data.column_map import REQUIRED_COLUMNS, ColumnMap

_NUMBERS = list(REQUIRED_COLUMNS[1:])
_TOLD = ("name", "source", "digest", "source_shape", "has_volume")
"""What is kept of bars beside their rows. Where a row stands in its file is not: it is asked for
where something is wrong, and these have passed the checks."""

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, eq=False)
class FileMarkets:
    """What came of one file, or of several."""

    bars: tuple[Bars, ...]
    """Of the markets that have passed the checks."""
    bad: Mapping[str, str]
    """Why each of the others cannot be used, by its name."""


def cache_folder() -> Path:
    """Where entries lie: MLPROJECT_CACHE, else where programs keep such files for the user."""
    named = os.environ.get("MLPROJECT_CACHE")
    if named:
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mlproject" / "bars"


def entry_of(path: Path, source: str, columns: ColumnMap) -> Path:
    """Where the markets of a file are kept, whether they are or not.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as stream:
        sha = hashlib.file_digest(stream, "sha256")
    sha.update(json.dumps([source, sorted(columns.items()), _program()]).encode())
    return cache_folder() / f"{sha.hexdigest()[:32]}.npz"


def load_entry(entry: Path) -> FileMarkets | None:
    """The markets of an entry; None if there is none, or none that is whole."""
    try:
        with np.load(entry) as kept:
            return _unpack({name: kept[name] for name in kept.files})
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        _logger.warning("%s: not used, and made anew: %s", entry, error)
        return None


def store_entry(entry: Path, markets: FileMarkets) -> None:
    """Keep the markets of one file. A disk that is full costs the entry, not the launch."""
    temporary = None
    try:
        entry.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=entry.parent, delete=False) as stream:
            temporary = Path(stream.name)
            np.savez(stream, **_pack(markets))  # type: ignore[arg-type] # it takes any names
        temporary.replace(entry)
    except OSError as error:
        _logger.warning("%s: could not be kept: %s", entry, error)
        if temporary is not None:
            with contextlib.suppress(OSError):
                temporary.unlink()


def _pack(markets: FileMarkets) -> dict[str, npt.NDArray[Any]]:
    """The rows of all markets behind one another, and a card that says whose they are."""
    cards = [
        {**{name: getattr(bars, name) for name in _TOLD}, "rows": len(bars.frame)}
        for bars in markets.bars
    ]
    frames = [bars.frame for bars in markets.bars]
    return {
        "card": np.array(json.dumps({"bars": cards, "bad": dict(markets.bad)})),
        "date": np.concatenate([[], *(f["date"].to_numpy().astype(np.int64) for f in frames)]),
        "numbers": np.concatenate(
            [np.empty((0, len(_NUMBERS))), *(f[_NUMBERS].to_numpy() for f in frames)]
        ),
    }


def _unpack(arrays: Mapping[str, npt.NDArray[Any]]) -> FileMarkets:
    card = json.loads(str(arrays["card"]))
    days = arrays["date"].astype(np.int64).astype("datetime64[us]")
    bars, start = [], 0
    for of_bars in card["bars"]:
        rows = slice(start, start + of_bars["rows"])
        frame = pd.DataFrame(arrays["numbers"][rows], columns=_NUMBERS, copy=True)
        frame.insert(0, "date", days[rows])
        if digest_of(frame) != of_bars["digest"]:
            raise ValueError(f"the bars of {of_bars['name']} are not those that were kept")
        bars.append(Bars(frame=frame, **{name: of_bars[name] for name in _TOLD}))
        start = rows.stop
    return FileMarkets(bars=tuple(bars), bad=card["bad"])


@cache
def _program() -> str:
    """A digest of what reads and checks bars today: the program text of this room."""
    sha = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        sha.update(path.read_bytes())
    return sha.hexdigest()
