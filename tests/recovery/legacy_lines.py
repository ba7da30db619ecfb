"""Small logs of the old program, made line by line."""

from collections.abc import Callable

from recovery.records import TrialRecord
from recovery.sources.collect import Collection

from mlproject.models.arch_grid import architecture_grid
from mlproject.models.budget import parse_budget

Collect = Callable[..., Collection]


STUDY = "phase6a_2M_h5_threshold_1pct"


CREATED = f"[I 2025-01-02 03:00:00,000] A new study created in memory with name: {STUDY}_2M"


MOMENT = "2025-01-01T00:00:00.000Z"


GRID = architecture_grid(parse_budget("2M"), 20, 1).architectures


def stamp(minute: int) -> str:
    return f"[I 2025-01-02 03:{minute:02d}:00,000] "


def start(number: int, minute: int | None = None, batch: str = "batch_size=64") -> str:
    row = GRID[number + 20]
    head = "" if minute is None else stamp(minute)
    return (
        f"{head}Trial {number}: arch_idx={row.arch_idx}, d_model={row.d_model}, "
        f"n_layers={row.n_layers}, params={row.param_count:,}, lr=0.000123, epochs=50, {batch}"
    )


def finish(number: int, minute: int, more: str = "'batch_size': 64") -> str:
    """Trial 0 is the best and has the value 0.5."""
    return (
        f"{stamp(minute)}Trial {number} finished with value: 0.{number + 5} and parameters: "
        f"{{'arch_idx': {number + 20}, 'learning_rate': 0.00012345, 'epochs': 50, {more}}}. "
        "Best is trial 0 with value: 0.5."
    )


def log(*lines: str) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def only(collection: Collection) -> TrialRecord:
    [[record]] = collection.studies.values()
    return record
