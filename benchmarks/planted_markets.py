"""Markets made by a rule that is known, and markets without one: daily bars from a seed.

On planted markets the drift of the next day follows from the bars so far by one rule, so that the
probability of each label is known, and with it the loss that no prediction can beat on average. On
null markets nothing follows from the past (`random_walk`), or the size of a move alone (`garch`).
The bars of all of them pass the checks of a study.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from scipy.special import ndtr
from torch.nn import functional

from mlproject.data.bars import Bars, digest_of
from mlproject.data.labels import Task
from mlproject.data.markets import Markets
from mlproject.data.windows import WindowedData

DAYS = 5_000
"""About twenty years."""

DAILY_MOVE = 0.02
"""The standard deviation of a day's log return around its drift: 1 % is half of it."""

MEMORY_DAYS = 10
"""How far back a rule looks."""

PATHS = 500
"""Continuations of a day over which a probability is averaged."""

_FIRST_CLOSE = 100.0
_VOLUME_SPREAD = 0.4
_VOLUME_KEPT = 0.7
"""Log volumes are normal with this standard deviation, and keep this share of the day before."""

Floats = npt.NDArray[np.float64]

Sign = Callable[[Floats, Floats], Floats]
"""The sign of the next day's drift, (…), given the log returns and the log volumes (of which 0 is
typical) of the last `MEMORY_DAYS`, (…, days) each."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What follows from the past of a planted market."""

    name: str
    sign: Sign
    drift: float
    """Of a day that has a sign, in units of `DAILY_MOVE`."""


def _way(returns: Floats, _volumes: Floats) -> Floats:
    return np.sign(returns[..., -5:].sum(axis=-1))


def _trade(_returns: Floats, volumes: Floats) -> Floats:
    return np.sign(volumes[..., -5:].sum(axis=-1) - volumes[..., -10:-5].sum(axis=-1))


RULES: Mapping[str, Rule] = {
    rule.name: rule
    for rule in (
        # The next day goes the way of the last five.
        Rule(name="momentum", sign=_way, drift=0.25),
        # It rises after a week of heavier trade than in the week before, else it falls.
        Rule(name="trade", sign=_trade, drift=0.25),
    )
}


@dataclass(frozen=True, kw_only=True, eq=False)
class PlantedMarkets:
    """Markets that share a rule."""

    rule: Rule
    bars: tuple[Bars, ...]
    """Sorted by name."""
    returns: Floats
    """(markets, days): log returns."""
    volumes: Floats
    """(markets, days): log volumes."""

    @property
    def markets(self) -> Markets:
        """What a study takes."""
        return Markets(name=self.rule.name, source=f"{self.rule.name} (made)", each=self.bars)

    def rise_probabilities(
        self, data: WindowedData, ends: torch.Tensor, *, horizon_days: int, task: Task
    ) -> Floats:
        """For each window (windows,) that ends at a row of `ends`, the probability of a rise, as
        whoever knows the rule and the bars up to that row would give it.

        A rise is that of a label on the closes. Of the days of the horizon all but the last are
        simulated `PATHS` times, and the last is exact: a horizon of one day is exact, and of a
        longer one the loss of these probabilities is too high by less than 1 / (2 PATHS) nats.
        """
        rng = np.random.default_rng(len(ends))
        position = {bars.name: at for at, bars in enumerate(self.bars)}
        in_data = data.market_of(ends)
        market = np.array([position[name] for name in data.markets])[in_data]
        day = ends.cpu().numpy() - data.market_starts[in_data]
        probabilities = np.empty(len(ends))
        for part in np.array_split(np.arange(len(ends)), len(ends) // 1000 + 1):
            days = day[part, None] + np.arange(1 - MEMORY_DAYS, 1)
            past = self.returns[market[part, None], days], self.volumes[market[part, None], days]
            probabilities[part] = self._rise(*past, horizon_days, np.log1p(task.threshold), rng)
        return probabilities

    def bayes_loss(
        self, data: WindowedData, ends: torch.Tensor, *, horizon_days: int, task: Task
    ) -> float:
        """The loss (nats) of the true probabilities; on few windows others have less by luck."""
        chances = self.rise_probabilities(data, ends, horizon_days=horizon_days, task=task)
        labels = data.labels[ends].cpu().double()
        return functional.binary_cross_entropy(torch.from_numpy(chances), labels).item()

    def _rise(
        self,
        returns: Floats,
        volumes: Floats,
        horizon_days: int,
        needed: float,
        rng: np.random.Generator,
    ) -> Floats:
        paths = PATHS if horizon_days > 1 else 1
        days = np.empty((2, len(returns), paths, MEMORY_DAYS + horizon_days - 1))
        days[..., :MEMORY_DAYS] = np.stack([returns, volumes])[:, :, None]
        left = np.full(days.shape[1:3], needed)
        risen = np.zeros(days.shape[1:3], bool)
        for day in range(horizon_days - 1):
            past = days[..., day : day + MEMORY_DAYS]
            days[..., day + MEMORY_DAYS] = move, _ = _next_day(self.rule, *past, rng)
            left -= move
            risen |= left <= 0
        drift = self.rule.drift * self.rule.sign(*days[..., -MEMORY_DAYS:])
        return np.where(risen, 1.0, ndtr(drift - left / DAILY_MOVE)).mean(axis=1)


def planted_markets(rule: Rule, n_markets: int, draw: int, days: int = DAYS) -> PlantedMarkets:
    """Markets of a rule; of each draw others."""
    rng = np.random.default_rng((draw, n_markets))
    returns, volumes = np.zeros((2, n_markets, MEMORY_DAYS + days))
    for day in range(MEMORY_DAYS, MEMORY_DAYS + days):
        past = slice(day - MEMORY_DAYS, day)
        returns[:, day], volumes[:, day] = _next_day(rule, returns[:, past], volumes[:, past], rng)
    returns, volumes = returns[:, MEMORY_DAYS:], volumes[:, MEMORY_DAYS:]
    bars = tuple(
        _bars(f"m{at:04d}", *of_market, rng)
        for at, of_market in enumerate(zip(returns, volumes, strict=True))
    )
    return PlantedMarkets(rule=rule, bars=bars, returns=returns, volumes=volumes)


def random_walk(name: str, seed: int, days: int = DAYS) -> Bars:
    """A market of which the past tells nothing."""
    rng = np.random.default_rng(seed)
    returns, volumes = DAILY_MOVE * rng.normal(size=days), _VOLUME_SPREAD * rng.normal(size=days)
    return _bars(name, returns, volumes, rng)


def garch(name: str, seed: int, days: int = DAYS) -> Bars:
    """A market of which the past tells how far the next day moves, and nothing of which way.

    GARCH(1, 1) with Student's t of 6 degrees of freedom (Bollerslev, "A Conditionally
    Heteroskedastic Time Series Model for Speculative Prices and Rates of Return", 1987). Volume
    goes with the move.
    """
    rng = np.random.default_rng(seed)
    shocks = rng.standard_t(6, days) * np.sqrt(4 / 6)
    of_last, kept = 0.08, 0.90
    moves = np.empty(days)
    variance = 1.0
    for day in range(days):
        # A crash that the checks of bars refuse is not the point here.
        moves[day] = np.clip(np.sqrt(variance) * shocks[day], -15, 15)
        variance = (1 - of_last - kept) + of_last * moves[day] ** 2 + kept * variance
    volumes = _VOLUME_SPREAD * rng.normal(size=days) + 0.5 * np.log(0.3 + np.abs(moves))
    return _bars(name, DAILY_MOVE * moves, volumes, rng)


def write_markets(bars: Sequence[Bars], folder: Path) -> None:
    """Write a CSV file for each market; its numbers are read again as they are."""
    folder.mkdir(parents=True, exist_ok=True)
    for each in bars:
        each.frame.to_csv(folder / f"{each.name}.csv", index=False)


def _next_day(
    rule: Rule, returns: Floats, volumes: Floats, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """The log return and log volume (…) of the day after the last `MEMORY_DAYS`, (…, days) each."""
    noise, news = rng.normal(size=(2, *returns.shape[:-1]))
    move = DAILY_MOVE * (noise + rule.drift * rule.sign(returns, volumes))
    volume = _VOLUME_KEPT * volumes[..., -1]
    return move, volume + _VOLUME_SPREAD * np.sqrt(1 - _VOLUME_KEPT**2) * news


def _bars(name: str, returns: Floats, volumes: Floats, rng: np.random.Generator) -> Bars:
    """The bars of a market of these log returns and log volumes; it opens near the last close."""
    days = len(returns)
    close = _FIRST_CLOSE * np.exp(np.cumsum(returns))
    before = np.concatenate([[_FIRST_CLOSE], close[:-1]])
    open_ = before * np.exp(rng.normal(0, 0.2 * DAILY_MOVE, days))
    above, below = np.abs(rng.normal(0, 0.3 * DAILY_MOVE, (2, days)))
    frame = pd.DataFrame(
        {
            "date": pd.bdate_range("2000-01-03", periods=days).astype("datetime64[us]"),
            "open": open_,
            "high": np.maximum(open_, close) * np.exp(above),
            "low": np.minimum(open_, close) * np.exp(-below),
            "close": close,
            "volume": np.round(1e6 * np.exp(volumes)),
        }
    )
    return Bars(name=name, source=f"{name} (made)", frame=frame, digest=digest_of(frame))
