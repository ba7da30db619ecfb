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

OPERATIONS_A_LAYER = 84
"""Of a GPU, forward and backward, handed out one after the other whatever the width."""
SECONDS_A_LAUNCH = 6e-6
GPU_OPERATIONS_A_SECOND = 0.4 * 989e12
"""In bf16. These two are estimates: no GPU was ever measured."""
GPU_SECONDS_A_LAYER = OPERATIONS_A_LAYER * SECONDS_A_LAUNCH

_OPERATIONS_A_PARAMETER = 6 * N_PATCHES * 256
"""Of a step of 256 windows: a multiplication and an addition for each patch, forward once and
backward twice."""

LAYER_COST = {
    "cpu": 220_000.0,
    "gpu": GPU_SECONDS_A_LAYER * GPU_OPERATIONS_A_SECOND / _OPERATIONS_A_PARAMETER,
}
"""A layer costs, beside its arithmetic, as much time as so many parameters. The CPU's is fitted to
measured steps, the GPU's follows from the estimates above."""


def cost_of_window(architecture: Architecture, device_type: str) -> float:
    """The cost of training on a window, as a number of parameters that cost as much."""
    layer = LAYER_COST["cpu" if device_type == "cpu" else "gpu"]
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
