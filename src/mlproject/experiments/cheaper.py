"""What a user could do about a study that takes long: in words, with what each way would take."""

from mlproject.experiments.time_left import TimeLeft
from mlproject.models.arch_grid import architecture_grid
from mlproject.models.budget import NAMED_BUDGETS, parse_budget
from mlproject.search.search_space import SearchSpace
from mlproject.text.durations import duration
from mlproject.training.cost import EpochShape, cost_of_window

LONG_SECONDS = 2 * 86_400.0
"""A study that takes longer is told what would be cheaper."""
FEW_TRIALS = 10
"""The forced extremes, and some that are chosen after them."""
FEW_STEPS = 2


def cheaper(
    left: TimeLeft,
    space: SearchSpace,
    shape: EpochShape,
    *,
    device_type: str,
    n_finished: int,
) -> str:
    """A line that names what would be cheaper, and about what the study would take then.

    The steps of an epoch and the budget make a study what it is: with others it is another one.
    """
    seconds = left.at_most_seconds
    ways = []
    if left.trials_left > FEW_TRIALS:
        share = FEW_TRIALS / left.trials_left
        ways.append(f"n_trials={n_finished + FEW_TRIALS} ({duration(seconds * share)})")
    if shape.steps > FEW_STEPS:
        fewer = FEW_STEPS / shape.steps
        ways.append(f"max_steps={FEW_STEPS} in a new study ({duration(seconds * fewer)})")
    smaller = [name for name in NAMED_BUDGETS if parse_budget(name) < space.settings.budget]
    if smaller:
        share = _mean_cost(space, smaller[-1], device_type) / _mean_cost(space, None, device_type)
        ways.append(f"budget={smaller[-1]} ({duration(seconds * share)})")
    if device_type != "cuda":
        ways.append("a GPU (docs/costs.md)")
    ways.append("more workers, on other machines or GPUs (docs/workers.md)")
    return f"that is long; cheaper: {', '.join(ways)}"


def _mean_cost(space: SearchSpace, budget: str | None, device_type: str) -> float:
    grid = space.grid
    if budget is not None:
        grid = architecture_grid(budget, grid.num_features, grid.version)
    costs = [cost_of_window(row, device_type) for row in grid.architectures]
    return sum(costs) / len(costs)
