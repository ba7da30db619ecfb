"""What the trials of a study are compared with, block by block of the validation span."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mlproject.analysis.baselines.of_days import fit_day_baselines
from mlproject.analysis.claims.log_losses import log_losses
from mlproject.data.markets import Markets
from mlproject.data.windows import WindowedData

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class References:
    """The validation losses (nats) of predictors that no trial had a part in."""

    weights: Floats
    """(blocks,): the share of validation windows in each block of days."""
    prior: Floats
    """(blocks,): mean loss of predicting the training base rate."""
    baselines: Mapping[str, Floats]
    """(blocks,) of each baseline by its name."""

    @classmethod
    def of(cls, markets: Markets, data: WindowedData) -> "References":
        """Those of a study's data; the baselines are fitted here."""
        blocks = data.validation_blocks
        labels = data.labels[data.validation].cpu().numpy().astype(np.float64)
        counts = np.bincount(blocks)

        def of_blocks(probabilities: Floats) -> Floats:
            return np.bincount(blocks, weights=log_losses(probabilities, labels)) / counts

        return cls(
            weights=counts / counts.sum(),
            prior=of_blocks(np.full(len(labels), data.base_rate)),
            baselines={
                baseline.name: of_blocks(baseline.predict(markets, data, data.validation))
                for baseline in fit_day_baselines(markets, data)
            },
        )

    def loss(self, of_blocks: Floats) -> float:
        """The mean over all windows of what has these means in the blocks."""
        return float(self.weights @ of_blocks)

    @property
    def best_baseline(self) -> str:
        """The name of the baseline with the lowest validation loss."""
        return min(self.baselines, key=lambda name: self.loss(self.baselines[name]))
