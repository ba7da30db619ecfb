"""What a training costs beside another: a model of the time that an epoch takes.

It tells how the architectures of a grid compare; how fast a machine is it does not know. That is
measured, by the steps of a training or by a layer alone (`layer_speed`). The figures behind the
model, and how far it is off, stand in docs/costs.md.
"""

from dataclasses import dataclass

from mlproject.data.windows import WindowedData
from mlproject.models.arch_grid import N_PATCHES, Architecture
from mlproject.training.schedule import epoch_windows, steps_per_epoch

VALIDATION = 1 / 3
"""What a window costs in validation, forward alone, beside one in training."""

_LAYER_ON_A_CPU = 220_000
_LAYER_ON_A_GPU = 12_000_000
"""A layer costs, beside its arithmetic, as much time as so many parameters: its operations are
handed out one after the other, whatever their width."""


def cost_of_window(architecture: Architecture, device_type: str) -> float:
    """The cost of training on a window, as a number of parameters that cost as much."""
    layer = _LAYER_ON_A_CPU if device_type == "cpu" else _LAYER_ON_A_GPU
    return architecture.param_count + layer * architecture.n_layers


def operations_of_step(architecture: Architecture, batch_size: int) -> int:
    """The operations of a step's matrices: a multiplication and an addition for each weight and
    patch, forward once and backward twice."""
    return 6 * architecture.param_count * N_PATCHES * batch_size


@dataclass(frozen=True, kw_only=True)
class EpochShape:
    """How much there is to do in an epoch, the same for all trials of a study."""

    steps: int
    training_windows: int
    validation_windows: int

    @classmethod
    def of(cls, data: WindowedData, *, batch_size: int, max_steps: int) -> "EpochShape":
        """The epochs of trainings on these windows."""
        train = len(data.train)
        steps = steps_per_epoch(train, batch_size=batch_size, max_steps=max_steps)
        return cls(
            steps=steps,
            training_windows=min(epoch_windows(train), steps * batch_size),
            validation_windows=len(data.validation),
        )

    @property
    def windows(self) -> float:
        """The windows of an epoch, those of validation counted as what they cost."""
        return self.training_windows + VALIDATION * self.validation_windows

    def done(self, step: int, steps: int) -> float:
        """The part of an epoch that is over after so many of its steps."""
        return step / steps * self.training_windows / self.windows
