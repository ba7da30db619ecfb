"""The files of a study of many markets: those of a folder, or those that a pattern names."""

import glob
from dataclasses import dataclass
from pathlib import Path

from mlproject.data.bar_files import ENDINGS, UnreadableBarsFile
from mlproject.text.phrases import counted

_OTHERS_SHOWN = 5


@dataclass(frozen=True, kw_only=True)
class MarketFiles:
    """Files that should each hold the bars of one market."""

    name: str
    """Of them together."""
    paths: tuple[Path, ...]
    """Sorted."""
    note: str = ""
    """Which other files lie there, and are left alone."""


def find_market_files(source: str) -> MarketFiles | None:
    """The files of a folder and of all folders in it, or of a pattern such as ``data/*.csv``.

    Hidden files are passed over. None where the source is neither folder nor pattern.

    Raises:
        UnreadableBarsFile: no file of bars is there.
    """
    path = Path(source)
    if path.is_dir():
        found = [each for each in path.rglob("*") if each.is_file()]
        parts = {each: each.relative_to(path).parts for each in found}
        found = [each for each in found if not any(p.startswith(".") for p in parts[each])]
        name = path.resolve().name
    elif glob.has_magic(source) and not path.exists():
        at = next(n for n, part in enumerate(path.parts) if glob.has_magic(part))
        folder = Path(*path.parts[:at])
        found = [each for each in folder.glob(str(Path(*path.parts[at:]))) if each.is_file()]
        name = folder.resolve().name
    else:
        return None
    bars = [each for each in found if each.name.lower().endswith(ENDINGS)]
    if not bars:
        raise UnreadableBarsFile(
            f"{source}: no file there ends in {', '.join(ENDINGS[:-1])} or {ENDINGS[-1]}; give a "
            "folder or a pattern of files with the bars of one market each"
        )
    others = sorted(each.name for each in found if each not in set(bars))
    shown = ", ".join(others[:_OTHERS_SHOWN]) + ", …" * (len(others) > _OTHERS_SHOWN)
    return MarketFiles(
        name=name or "markets",
        paths=tuple(sorted(bars)),
        note=f"{counted(len(others), 'other file')} left alone: {shown}" if others else "",
    )
