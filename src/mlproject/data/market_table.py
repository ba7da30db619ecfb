"""What a study's data is, market by market, and what it can tell."""

import numpy as np
import pandas as pd
import torch

from mlproject.data.markets import Markets
from mlproject.data.windows import WindowedData
from mlproject.models.arch_grid import WINDOW_DAYS
from mlproject.text.phrases import counted

TOO_FEW_DISJOINT_WINDOWS = 100
ENOUGH_DISJOINT_WINDOWS = 400
"""Measured on markets with a planted rule (docs/data.md): of one market of 5,000 days (56 disjoint
windows) no network learns it, of eight (448) networks take most of what there is."""


_SHOWN = 5


def market_table(markets: Markets, data: WindowedData) -> pd.DataFrame:
    """A row for each market: its rows, days, windows and base rates, or why it is not used."""
    splits = {"train": data.train, "validation": data.validation, "test": data.test}
    counts = {name: _of_markets(data, ends) for name, ends in splits.items()}
    at = {name: position for position, name in enumerate(data.markets)}
    rows = []
    for bars in markets.each:
        row: dict[str, object] = {
            "market": bars.name,
            "rows": len(bars.frame),
            "first": f"{bars.frame['date'].iloc[0]:%Y-%m-%d}",
            "last": f"{bars.frame['date'].iloc[-1]:%Y-%m-%d}",
        }
        position = at.get(bars.name)
        for split, (windows, rises) in counts.items():
            in_market = 0 if position is None else int(windows[position])
            row[f"{split}_windows"] = in_market
            row[f"{split}_base_rate"] = rises[position] / in_market if in_market else np.nan
        row |= {"digest": bars.digest, "source": bars.source, "source_shape": bars.source_shape}
        row["left_out"] = "" if position is not None else "no day to train on before the others'"
        rows.append(row)
    rows += [{"market": name, "left_out": why} for name, why in sorted(markets.left_out.items())]
    return pd.DataFrame(rows)


def remarks(markets: Markets, data: WindowedData) -> list[str]:
    """Lines on what is unusual: files and markets that are not used, calendars that differ."""
    unused = [bars.name for bars in markets.each if bars.name not in set(data.markets)]
    lines = [*markets.notes, *(f"left out: {why}" for _, why in sorted(markets.left_out.items()))]
    if unused:
        shown = ", ".join(unused[:_SHOWN]) + ", …" * (len(unused) > _SHOWN)
        lines.append(
            f"left out, with no day to train on before the others' validation: {shown} "
            f"({counted(len(unused), 'market')})"
        )
    ends = min(bars.frame["date"].iloc[-1] for bars in markets.each)
    begins = max(bars.frame["date"].iloc[0] for bars in markets.each)
    if begins > ends:
        lines.append(
            f"no day is common to all markets: one ends on {ends:%Y-%m-%d}, another begins on "
            f"{begins:%Y-%m-%d}"
        )
    missing = _days_missing(markets)
    most = max(missing, key=lambda name: missing[name])
    if missing[most] > 0:
        lines.append(
            f"calendars differ: {most} has no row on {missing[most]:.1%} of the days of its years "
            "on which another market has one (allowed: days are counted in each market)"
        )
    return lines


def _days_missing(markets: Markets) -> dict[str, float]:
    """Of each market: the share of days between its first and last that others alone have."""
    days = {bars.name: bars.frame["date"].to_numpy() for bars in markets.each}
    every = np.unique(np.concatenate(list(days.values())))
    return {
        name: 1 - len(own) / (np.searchsorted(every, own[-1]) - np.searchsorted(every, own[0]) + 1)
        for name, own in days.items()
    }


def what_data_tells(data: WindowedData) -> str:
    """A sentence on how much a study can learn from the data."""
    windows, _ = _of_markets(data, data.train)
    disjoint = int((windows // WINDOW_DAYS).sum())
    n_markets = len(data.markets)
    counts = (
        f"{len(data.train):,} training windows of {WINDOW_DAYS} days ({disjoint:,} disjoint ones) "
        f"of {counted(n_markets, 'market')}"
    )
    if disjoint < TOO_FEW_DISJOINT_WINDOWS:
        return (
            f"{counts}: too few to tell architectures or sizes apart, or to learn a rule that is "
            "there; give --data a folder of many markets"
        )
    if disjoint < ENOUGH_DISJOINT_WINDOWS:
        return f"{counts}: few to tell architectures or sizes apart; more markets would help"
    return f"{counts}: enough to learn a rule that markets share, where there is one"


def _of_markets(data: WindowedData, ends: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Of each market: how many windows end at rows `ends`, and how many of them rise."""
    market = data.market_of(ends)
    n_markets = len(data.markets)
    rises = np.bincount(market, weights=data.labels[ends].cpu().numpy(), minlength=n_markets)
    return np.bincount(market, minlength=n_markets), rises
