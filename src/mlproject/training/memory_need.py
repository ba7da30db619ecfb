"""The memory that training one architecture takes at its peak, in bytes.

The figures count what `mlproject.models.patchtst` keeps for the backward pass and what
`mlproject.training.optimisers` holds; docs/memory.md sets them beside measured peaks. What follows
from them is in `layouts` and `memory_plan`.
"""

from dataclasses import dataclass

import psutil

from mlproject.models.arch_grid import N_PATCHES, PATCH_DAYS, WINDOW_DAYS, Architecture
from mlproject.training.plan import Layout, OptimiserName, Precision, TrainingPlan
from mlproject.training.workload import PROCESS_BYTES, Workload

HEAP_OVERHEAD = 1.3
"""On the CPU, what the heap takes for activations against what they hold (`system.allocator`)."""

LIBRARY_BYTES = 100_000_000
"""Code and buffers of torch's libraries that the first training step brings in."""

FP32_BYTES = 4


@dataclass(frozen=True, kw_only=True)
class MemoryNeed:
    """The bytes that training one architecture takes at its peak, by what they are for."""

    weights: int
    gradients: int
    optimiser: int
    activations: int
    process: int
    """What the process holds already, and the libraries that training loads."""

    @property
    def total(self) -> int:
        """The sum of all."""
        return self.to_be_taken + self.process

    @property
    def to_be_taken(self) -> int:
        """The sum of all but what the process holds already."""
        return self.weights + self.gradients + self.optimiser + self.activations


def memory_need(
    architecture: Architecture,
    plan: TrainingPlan,
    layout: Layout,
    workload: Workload,
) -> MemoryNeed:
    """The need of training `architecture` in this layout, in each of the workload's processes."""
    state = _state_sharded if workload.n_processes > 1 else _state
    weights, gradients, optimiser = state(architecture, plan, layout, workload)
    activations = _activations(architecture, plan, layout, workload)
    process = 0
    if workload.device.type == "cpu":
        process = PROCESS_BYTES
        if workload.n_processes == 1:
            process = psutil.Process().memory_info().rss + LIBRARY_BYTES
        if plan.optimiser is OptimiserName.ADAMW:
            activations = int(activations * HEAP_OVERHEAD)
    return MemoryNeed(
        weights=weights,
        gradients=gradients,
        optimiser=optimiser,
        activations=activations * layout.threads,
        process=process,
    )


def bytes_per_token(architecture: Architecture, plan: TrainingPlan) -> int:
    """The bytes that one layer keeps of a token (a patch of a window) for the backward pass.

    Two inputs of norms in fp32 with their means and deviations; the inputs of four linear layers,
    query, key and value, and two dropout masks; the hidden layer before and after its activation
    and its mask; the attention weights, their mask and their copy in the matrices' type.
    """
    d_model, d_ff, heads = architecture.d_model, architecture.d_ff, architecture.n_heads
    matrix = plan.precision.dtype.itemsize
    residual = 2 * (d_model + 2) * FP32_BYTES
    attention = N_PATCHES * heads * (2 * FP32_BYTES + matrix)
    return residual + 8 * d_model * matrix + 3 * d_ff * matrix + attention


def _activations(
    architecture: Architecture, plan: TrainingPlan, layout: Layout, workload: Workload
) -> int:
    """Bytes of one micro-batch's windows and of what the backward pass needs of it."""
    d_model, n_layers = architecture.d_model, architecture.n_layers
    tokens = min(layout.micro_batch, workload.batch_size) * N_PATCHES
    layer = tokens * bytes_per_token(architecture, plan)
    if layout.checkpoint_every:
        kept = -(-n_layers // layout.checkpoint_every) * tokens * d_model * FP32_BYTES
        activations = kept + layout.checkpoint_every * layer
    else:
        activations = n_layers * layer
    window = (3 * WINDOW_DAYS + 2 * N_PATCHES * PATCH_DAYS) * workload.n_features * FP32_BYTES
    # The backward pass of a layer holds about as much again of the layer it is in.
    return (
        activations + layer // 2 + layout.micro_batch * window + tokens * 3 * d_model * FP32_BYTES
    )


def _state(
    architecture: Architecture, plan: TrainingPlan, layout: Layout, _workload: Workload
) -> tuple[int, int, int]:
    """Bytes of weights, gradients and optimiser."""
    d_model, n_layers, d_ff = architecture.d_model, architecture.n_layers, architecture.d_ff
    params = architecture.param_count
    matrix = plan.precision.dtype.itemsize
    in_matrices = n_layers * _params_in_matrices_of_a_layer(architecture)
    weights = in_matrices * matrix + (params - in_matrices) * FP32_BYTES
    if plan.optimiser is OptimiserName.ADAMW:
        masters = in_matrices * FP32_BYTES if plan.precision is Precision.BF16 else 0
        optimiser = masters + params * 2 * FP32_BYTES
        # Their sum in fp32, and those of each micro-batch at work, one by one and in one piece.
        gradients = params * FP32_BYTES + 2 * layout.threads * weights
    else:
        optimiser = 4 * n_layers * (4 * d_model + d_model + d_ff) * FP32_BYTES
        # One matrix at a time: its gradient, the update, its square, and the random bits.
        gradients = d_model * max(d_ff, 3 * d_model) * (matrix + 3 * FP32_BYTES + 2)
    return weights, gradients, optimiser


def _state_sharded(
    architecture: Architecture, plan: TrainingPlan, layout: Layout, workload: Workload
) -> tuple[int, int, int]:
    """As `_state`, of AdamW in one of several processes (`mlproject.training.sharded.network`)."""
    layer = _params_in_matrices_of_a_layer(architecture)
    in_matrices = architecture.n_layers * layer
    # Its part of the masters, and what it holds whole as the others do.
    held = -(-in_matrices // workload.n_processes) + architecture.param_count - in_matrices
    matrix = plan.precision.dtype.itemsize
    # Layers put together: those that are computed again, the next one, and its parts' copies.
    together = (max(1, layout.checkpoint_every) + 2) * layer * matrix
    # The gradients of a layer as they come, and in fp32 on their way to the other processes.
    under_way = layer * (matrix + 2 * FP32_BYTES)
    return (
        held * FP32_BYTES + together,
        held * FP32_BYTES + under_way,
        held * 2 * FP32_BYTES,
    )


def _params_in_matrices_of_a_layer(architecture: Architecture) -> int:
    """Parameters of a layer's matrices and their biases: all but its norms."""
    d_model, d_ff = architecture.d_model, architecture.d_ff
    return 4 * d_model**2 + 2 * d_model * d_ff + 5 * d_model + d_ff
