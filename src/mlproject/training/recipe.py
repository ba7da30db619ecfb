"""The recipe of a training: what is the same in all trials of a version of the search space."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields

LEAST_PATIENCE_EPOCHS = 3


@dataclass(frozen=True, kw_only=True)
class TrainingRecipe:
    """What decides how a network is trained and is not searched."""

    warmup_share: float = 0.0
    """The rate rises over this share of all steps, where that is more than `warmup_steps`."""
    decays_matrices_only: bool = False
    """Weight decay leaves biases and the gains of the norms alone."""
    patience_share: float = 0.0
    """Training ends early after this share of its epochs without a better validation loss, at
    least `LEAST_PATIENCE_EPOCHS`; 0: after the default of `TrainingSettings`."""
    draws_by_name: bool = False
    """Each initial matrix follows from the seed and its name alone, so that two architectures of
    one seed begin alike wherever they have a matrix of the same name and shape."""

    def describe(self) -> dict[str, str]:
        """What it adds to the ranges of the search, readable; nothing of the first recipe."""
        said = {f.name: getattr(self, f.name) for f in fields(self)}
        return {
            name: f"{value:g}" if isinstance(value, float) else "yes"
            for name, value in said.items()
            if value
        }

    def patience_epochs(self, epochs: int) -> int | None:
        """The patience of a training of so many epochs; None: the default."""
        if not self.patience_share:
            return None
        return max(LEAST_PATIENCE_EPOCHS, math.ceil(self.patience_share * epochs))


RECIPES: Mapping[int, TrainingRecipe] = {
    1: TrainingRecipe(),
    2: TrainingRecipe(
        warmup_share=0.1, patience_share=0.25, decays_matrices_only=True, draws_by_name=True
    ),
}
"""By version of the search space; never edited once trials were trained by it."""
