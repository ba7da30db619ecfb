"""Markets made by a rule that is known, and markets without one: daily bars from a seed.

On a planted market the drift of the next day follows from the bars so far by a rule that all of
them share, so that the probability of each label is known and with it the loss that no prediction
can beat on average. On a null market nothing follows from the past (`random_walk`), or the size of
a move alone (`garch`). The bars of all of them pass the checks of a study.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from scipy.stats import norm
from torch.nn import functional

from mlproject.data.bars import Bars, digest_of
from mlproject.data.labels import Task
from mlproject.data.windows import WindowedData

DAYS = 5_000
"""About twenty years."""

DAILY_MOVE = 0.02
"""The standard deviation of a day's log return around its drift: 1 % is half of it."""

DRIFT = 0.45
"""The drift of a day that the rule has a sign for, in standard deviations of its move."""

Floats = npt.NDArray[np.float64]

Rule = Callable[[Floats, Floats], float]
"""The sign of the next day's drift (-1, 0 or 1), given the log returns and the volumes (as multiples
of a typical day's) up to today."""


def momentum(returns: Floats, _volumes: Floats) -> float:
    """The next day goes the way of the last five."""
    return float(np.sign(returns[-5:].sum()))


def reversal_on_volume(returns: Floats, volumes: Floats) -> float:
    """The next day turns the move of a day of heavy trade round, and goes on with that of another.

    Neither the move nor the volume tells anything alone.
    """
    return float(np.sign(returns[-1])) * (-1.0 if volumes[-1] > 1.0 else 1.0)


RULES: Mapping[str, Rule] = {"momentum": momentum, "reversal on volume": reversal_on_volume}


@dataclass(frozen=True, kw_only=True, eq=False)
class PlantedMarket:
    """The bars of a market, and what its rule says of each day."""

    bars: Bars
    signs: Floats
    """(rows,): the sign of the drift of the day after each row, -1, 0 or 1."""

    def rise_probability(self, task: Task) -> Floats:
        """(rows,): of each row, the probability that the next close rises by the threshold.

        It is the one that whoever knows the rule and the bars up to that row would give; of a
        horizon of one day alone.
        """
        needed = np.log1p(task.threshold) / DAILY_MOVE
        return norm.sf(needed - DRIFT * self.signs)


def planted_market(rule: Rule, name: str, seed: Sequence[int], days: int = DAYS) -> PlantedMarket:
    """The market of a rule and a seed."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=days)
    volumes = np.exp(rng.normal(0, 0.5, days))
    returns, signs = np.empty(days), np.empty(days)
    sign = 0.0
    for day in range(days):
        returns[day] = DAILY_MOVE * (noise[day] + DRIFT * sign)
        signs[day] = sign = rule(returns[: day + 1], volumes[: day + 1])
    return PlantedMarket(bars=_bars(name, returns, volumes, rng), signs=signs)


def planted_markets(rule: Rule, n_markets: int, draw: int, days: int = DAYS) -> list[PlantedMarket]:
    """Markets of one rule, sorted by name; of each draw others, and fewer are the first of more."""
    return [planted_market(rule, f"m{at:04d}", (draw, at), days) for at in range(n_markets)]


def random_walk(name: str, seed: Sequence[int], days: int = DAYS) -> Bars:
    """A market of which the past tells nothing."""
    rng = np.random.default_rng(seed)
    returns = DAILY_MOVE * rng.normal(size=days)
    return _bars(name, returns, np.exp(rng.normal(0, 0.5, days)), rng)


def garch(name: str, seed: Sequence[int], days: int = DAYS) -> Bars:
    """A market of which the past tells how far the next day moves, and nothing of which way.

    GARCH(1, 1) with Student's t of 6 degrees of freedom (Bollerslev, "A Conditionally
    Heteroskedastic Time Series Model for Speculative Prices and Rates of Return", 1987); volume
    goes with the move.
    """
    rng = np.random.default_rng(seed)
    shocks = rng.standard_t(6, days) * np.sqrt(4 / 6)
    from_last, kept = 0.08, 0.90
    returns = np.empty(days)
    variance = 1.0
    for day in range(days):
        returns[day] = np.sqrt(variance) * shocks[day]
        variance = (1 - from_last - kept) + from_last * returns[day] ** 2 + kept * variance
    volumes = np.exp(rng.normal(0, 0.4, days)) * np.sqrt(0.5 + 0.5 * np.abs(returns))
    # A crash beyond what the checks of bars let pass is not the point here.
    return _bars(name, DAILY_MOVE * np.clip(returns, -15, 15), volumes, rng)


def write_markets(markets: Sequence[Bars], folder: Path) -> None:
    """Write a CSV file for each market; numbers are read again as they are."""
    folder.mkdir(parents=True, exist_ok=True)
    for bars in markets:
        bars.frame.to_csv(folder / f"{bars.name}.csv", index=False)


def bayes_loss(
    markets: Sequence[PlantedMarket], data: WindowedData, ends: torch.Tensor, task: Task
) -> float:
    """The loss (nats) of the true probabilities on the windows that end at the rows `ends`.

    `data` has the test span and a horizon of one day. On few windows a network may have less by
    luck.
    """
    by_name = {market.bars.name: market for market in markets}
    chances = np.concatenate([by_name[name].rise_probability(task) for name in data.markets])
    true = torch.from_numpy(chances)[ends.cpu()]
    return functional.binary_cross_entropy(true, data.labels[ends].cpu().double()).item()


def _bars(name: str, returns: Floats, volumes: Floats, rng: np.random.Generator) -> Bars:
    """The bars of a market that closes at these log returns; it opens near the close before."""
    days = len(returns)
    close = 100 * np.exp(np.cumsum(returns))
    before = np.concatenate([[100.0], close[:-1]])
    open_ = before * np.exp(rng.normal(0, 0.2 * DAILY_MOVE, days))
    above, below = np.abs(rng.normal(0, 0.3 * DAILY_MOVE, (2, days)))
    frame = pd.DataFrame(
        {
            "date": pd.bdate_range("2000-01-03", periods=days).astype("datetime64[us]"),
            "open": open_,
            "high": np.maximum(open_, close) * np.exp(above),
            "low": np.minimum(open_, close) * np.exp(-below),
            "close": close,
            "volume": np.round(1e6 * volumes),
        }
    )
    return Bars(name=name, source=f"{name} (made)", frame=frame, digest=digest_of(frame))
