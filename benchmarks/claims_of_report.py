"""What the report claims of scale, of shapes and of heads, on studies whose truth is known.

The losses are like those of real studies: about 0.57, with a seed's luck of 0.003 and what settings
add on top of it, either on both sides or, as is usual, upwards.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from mlproject.analysis.claims.size_effect import (
    SizedStudy,
    SizeEffect,
    SizeVerdict,
    size_effect,
)
from mlproject.analysis.report.effects import architecture_effects
from mlproject.analysis.report.shape_map import shape_map
from mlproject.text.tables import markdown_lines

Floats = npt.NDArray[np.float64]

LOSS = 0.57
SEED_SD = 0.003
SETTINGS_SD = 0.005
TARGET = "1 % within 3 days"
SIZES = (2_000_000, 20_000_000, 200_000_000, 2_000_000_000)


@dataclass(frozen=True, kw_only=True)
class Studies:
    """What the studies of a row are like; the last size is the one that differs."""

    name: str
    trials: tuple[int, int] = (50, 50)
    """Of the smaller half of the sizes, and of the larger."""
    noise: float = 1.0
    """Of the last size, in those of the others."""
    growing: bool = False
    """Whether the noise grows with size, up to `noise`, instead of at the last size alone."""
    pruned: float = 0.0
    """Share of the last size's trials, by an early look that is as noisy as the trial itself."""
    blind: bool = False
    """Whether pruned trials leave no loss, as in old logs."""
    learning: bool = False
    """Whether the search gets better as it goes on."""
    exponent: float = 0.0
    offset: float = 0.0
    """Standard deviation of what studies differ by for no reason."""


ROWS = (
    Studies(name="50 trials each"),
    Studies(name="10 against 50", trials=(10, 50)),
    Studies(name="10 against 50, a search that learns", trials=(10, 50), learning=True),
    Studies(name="last size 1.2 times as noisy", noise=1.2),
    Studies(name="last size 1.5 times as noisy", noise=1.5),
    Studies(name="last size twice as noisy", noise=2.0),
    Studies(name="noise grows with size, to twice", noise=2.0, growing=True),
    Studies(name="last size half pruned", pruned=0.5),
    Studies(name="the same, losses not known", pruned=0.45, blind=True),
)
OFFSETS = (0.0, 0.002, 0.004)


def false_claims_of_scale(repeats: int) -> Iterator[str]:
    """Where size does nothing: how often it is said to help or to hurt, in per cent."""
    counts = (2, 3, 4)
    heads = ["studies", *(f"{n} sizes, offset {offset:g}" for n in counts for offset in OFFSETS)]
    cells = [
        [
            row.name,
            *(
                _percent(
                    max(
                        _claims(replace(row, offset=offset), n, skewed, repeats)
                        for skewed in (False, True)
                    )
                )
                for n in counts
                for offset in OFFSETS
            ),
        ]
        for row in ROWS
    ]
    yield "### Scale: claims where size does nothing, % (the worse of two kinds of noise)\n"
    yield from markdown_lines(heads, cells)


def power_of_scale(repeats: int) -> Iterator[str]:
    """A real law: how often scale is said to help, in per cent."""
    settings = [
        (n, trials, offset) for n in (3, 4) for trials in (20, 50) for offset in OFFSETS[1:]
    ]
    heads = ["loss per tenfold", *(f"{n} sizes, {t} trials, offset {o:g}" for n, t, o in settings)]
    rows = []
    for percent in (0.5, 1.0, 2.0, 4.0):
        exponent = -np.log10(1 - percent / 100)
        cells = [f"-{percent:g} %"]
        for sizes, trials, offset in settings:
            row = Studies(name="", trials=(trials, trials), exponent=exponent, offset=offset)
            cells.append(_percent(_claims(row, sizes, True, repeats)))
        rows.append(cells)
    yield "### Scale: a real law is found, %\n"
    yield from markdown_lines(heads, rows)


def shapes(repeats: int) -> Iterator[str]:
    """The depth map and the table of the best: false differences, the set, the expected loss."""
    heads = [
        *("trials, cells", "sd of cells", "said to differ, %", "best is in the set, %"),
        *("set, share of cells", "luck of the luckiest", "left in the expected loss"),
        "its 95 % interval holds, %",
    ]
    rows = []
    for trials, cells in ((20, 10), (50, 25), (200, 60)):
        for cell_sd in (0.0, 0.0015, 0.004):
            generator = np.random.default_rng(0)
            found = np.array(
                [_shape_study(generator, trials, cells, cell_sd) for _ in range(repeats)]
            ).mean(axis=0)
            rows.append(
                [
                    *(f"{trials}, {cells}", f"{cell_sd:g}", _percent(found[0]), _percent(found[1])),
                    *(f"{found[2]:.2f}", f"{found[3]:+.4f}", f"{found[4]:+.4f}"),
                    _percent(found[5]),
                ]
            )
    yield "### Depth against width, and the table of the best\n"
    yield from markdown_lines(heads, rows)


def effects(repeats: int) -> Iterator[str]:
    """Heads and feed-forward width that do nothing: figures with an interval without zero."""
    rows = []
    for trials in (30, 50, 100):
        cells = [str(trials)]
        for budgets in (1, 3):
            generator = np.random.default_rng(0)
            false = 0
            for _ in range(repeats):
                frame = pd.concat(
                    [_effect_study(generator, trials, n) for n in range(budgets)],
                    ignore_index=True,
                )
                false += any(e.low > 0 or e.high < 0 for e in architecture_effects(frame))
            cells.append(_percent(false / repeats))
        rows.append(cells)
    yield "### Heads and feed-forward width: figures with a false effect, %\n"
    yield from markdown_lines(["trials of a budget", "one budget", "three budgets"], rows)


def _claims(row: Studies, sizes: int, skewed: bool, repeats: int) -> float:
    """The share of reports that claim something of size."""
    generator = np.random.default_rng(0)
    drawn = repeats if sizes > 2 else max(1, repeats // 10)  # two never claim anything
    claimed = 0
    for _ in range(drawn):
        effect = size_effect(_sized_studies(generator, row, SIZES[:sizes], skewed))
        claimed += (
            isinstance(effect, SizeEffect) and effect.verdict is not SizeVerdict.CANNOT_BE_TOLD
        )
    return claimed / drawn


def _sized_studies(
    generator: np.random.Generator, row: Studies, sizes: Sequence[int], skewed: bool
) -> list[SizedStudy]:
    """A study per size."""
    studies = []
    for place, size in enumerate(sizes):
        last = place == len(sizes) - 1
        trials = row.trials[place >= len(sizes) / 2]
        noise = row.noise ** (place / (len(sizes) - 1)) if row.growing else row.noise**last
        luck = noise * _luck(generator, trials, skewed)
        if row.learning:
            luck += 0.01 * np.exp(-np.arange(trials) / 10)
        level = LOSS * (size / sizes[0]) ** -row.exponent + generator.normal(0, row.offset)
        early = luck + noise * _luck(generator, trials, skewed)
        complete = early <= np.quantile(early, 1 - row.pruned * last)
        studies.append(
            SizedStudy(
                params=size,
                losses=np.where(complete | (not row.blind), level + luck, np.inf),
                complete=complete,
            )
        )
    return studies


def _luck(generator: np.random.Generator, trials: int, skewed: bool) -> Floats:
    """What seeds and settings add to a loss."""
    seeds = generator.normal(0, SEED_SD, trials)
    if skewed:
        return seeds + generator.exponential(SETTINGS_SD, trials)
    return seeds + generator.normal(0, SETTINGS_SD, trials)


def _shape_study(
    generator: np.random.Generator, trials: int, cells: int, cell_sd: float
) -> tuple[float, ...]:
    """What is said of the shapes of a study that a sampler spread unevenly, beside the truth."""
    cell = generator.choice(cells, trials, p=generator.dirichlet(np.full(cells, 0.5)))
    of_cells = generator.normal(0, cell_sd, cells)
    rates = 10 ** generator.uniform(-4, -3, trials)
    steps = np.log2(rates / 3e-4)
    expected = LOSS + 0.0015 * steps**2 + of_cells[cell]
    losses = expected + SEED_SD * (
        0.7 * generator.normal(size=trials) + generator.exponential(size=trials) - 1
    )
    frame = _frame(
        study="2M",
        number=np.arange(trials),
        loss=losses,
        d_model=64 * (1 + cell // 10),
        n_layers=1 + cell % 10,
        learning_rate=rates,
    )
    found = shape_map("2M", TARGET, frame, recommended={})
    best = min(set(cell), key=lambda each: of_cells[each])
    place = found.depths.index(1 + best % 10), found.widths.index(64 * (1 + best // 10))
    luckiest = int(losses.argmin())
    truth = expected[luckiest]
    estimate = found.estimates.of_trials.losses[luckiest]
    reach = found.estimates.reach * found.estimates.of_trials.errors[luckiest]
    return (
        found.estimates.differ,
        bool(found.among_best[place]),
        float(found.estimates.among_best.mean()),
        losses.min() - truth,
        estimate - truth,
        bool(abs(estimate - truth) <= reach),
    )


def _effect_study(generator: np.random.Generator, trials: int, place: int) -> pd.DataFrame:
    """Trials in which heads go with the learning rate and do nothing themselves."""
    heads = generator.choice([2, 4, 8, 16, 32], trials, p=generator.dirichlet(np.full(5, 3.0)))
    rates = 10 ** generator.uniform(-4, -3, trials) * np.where(heads > 8, 1.5, 0.8)
    width = generator.choice([64, 128, 192, 256], trials)
    return _frame(
        study=f"study {place}",
        budget=str(place),
        number=np.arange(trials),
        loss=LOSS + 0.0015 * np.log2(rates / 3e-4) ** 2 + _luck(generator, trials, skewed=True),
        n_heads=heads,
        d_ff_ratio=generator.choice([2.0, 4.0], trials),
        d_model=width,
        n_layers=1024 // width,
        learning_rate=rates,
    )


def _frame(**columns: object) -> pd.DataFrame:
    same = {
        "budget": "2M",
        "budget_parameters": SIZES[0],
        "horizon_days": 3,
        "task": "threshold_1pct",
        "target": TARGET,
        "prior_loss": 0.62,
    }
    return pd.DataFrame({**same, **columns})


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"
