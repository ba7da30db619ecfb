"""The memory plan: what training needs, what there is, and what follows, before anything starts.

The figures count what `mlproject.models.patchtst` keeps for the backward pass and what
`mlproject.training.optimisers` holds; docs/memory.md sets them beside measured peaks.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import psutil
import torch

from mlproject.errors import UserError
from mlproject.models.arch_grid import N_PATCHES, PATCH_DAYS, WINDOW_DAYS, Architecture
from mlproject.training.plan import Layout, OptimiserName, Precision, TrainingPlan

SPARE = 0.1
"""Share of the free memory that is left to what the plan does not count."""

LARGEST_THREADED = 30_000_000
"""Up to this many parameters every core works on a part of the batch of its own, which costs a
set of gradients for each; larger matrices keep all cores busy by themselves."""
SMALLEST_THREADED_BATCH = 32

HEAP_OVERHEAD = 1.3
"""On the CPU, what the heap takes for activations against what they hold (see `allocator`)."""
LIBRARY_BYTES = 100_000_000
"""Code and buffers of torch's libraries that the first training step brings in."""

PROCESS_BYTES = 500_000_000
"""What a process of a sharded training holds on the CPU before it has a network."""

_FP32 = 4


class TooLittleMemory(UserError):
    """The largest architecture of a study cannot be trained here."""


class OneDeviceOnly(UserError):
    """Adafactor was asked for on several devices."""


@dataclass(frozen=True, kw_only=True)
class Workload:
    """What a study asks of its device, whatever the architecture."""

    device: torch.device
    n_features: int
    batch_size: int
    """Windows per optimiser step."""
    memory_limit_bytes: int | None = None
    """What this process may hold of the device in all, where others train there too."""
    n_processes: int = 1
    """Processes that share one training, each with a device like `device`."""

    @classmethod
    def on(
        cls,
        devices: Sequence[torch.device],
        *,
        n_features: int,
        batch_size: int,
        memory_limit_bytes: int | None = None,
    ) -> "Workload":
        """Of trainings on all these devices; the one with the least free memory counts."""
        return cls(
            device=min(devices, key=free_memory_bytes),
            n_features=n_features,
            batch_size=batch_size,
            memory_limit_bytes=memory_limit_bytes,
            n_processes=len(devices),
        )


@dataclass(frozen=True, kw_only=True)
class MemoryNeed:
    """Bytes that training one architecture takes at its peak."""

    weights: int
    gradients: int
    optimiser: int
    activations: int
    process: int
    """What the process holds already, and the libraries that training loads."""

    @property
    def total(self) -> int:
        """All of them."""
        return self.to_be_taken + self.process

    @property
    def to_be_taken(self) -> int:
        """All but what the process holds already."""
        return self.weights + self.gradients + self.optimiser + self.activations


@dataclass(frozen=True, kw_only=True)
class MemoryPlan:
    """The plan of a study and what its most demanding architecture needs under it."""

    training: TrainingPlan
    architecture: Architecture
    layout: Layout
    need: MemoryNeed
    free: int
    """Bytes that the device could still give."""
    n_processes: int = 1
    """As of `Workload`; all figures are those of each."""

    def as_text(self) -> str:
        """A small table, in GB."""
        row, need, layout = self.architecture, self.need, self.layout
        parts = {field.name: getattr(need, field.name) for field in fields(need)}
        parts |= {"total": need.total, "free": self.free + need.process}
        how = f"micro-batches of {layout.micro_batch} windows"
        if layout.threads > 1:
            how += f", {layout.threads} at a time"
        if layout.checkpoint_every:
            how += f", activations kept every {layout.checkpoint_every} layers"
        if self.n_processes > 1:
            how += f", on each of {self.n_processes} devices"
        return "\n".join(
            [
                f"memory plan: {self.training.optimiser}, {self.training.precision}; at most, for "
                f"{row.param_count:,} parameters ({row.n_layers} layers of width {row.d_model}), "
                f"{how}:",
                "  ".join(f"{name:>11}" for name in parts),
                "  ".join(f"{size / 1e9:8.2f} GB" for size in parts.values()),
            ]
        )


def plan_memory(
    architectures: Sequence[Architecture],
    workload: Workload,
    *,
    optimiser: OptimiserName | None = None,
    precision: Precision | None = None,
) -> MemoryPlan:
    """The plan for all `architectures`: the fastest that every one of them fits.

    What is asked for by name is kept to. Otherwise the precision is bf16 where the device computes
    in it, and the optimiser AdamW unless only Adafactor fits. With several processes all figures
    are those of each, and AdamW is the only one.

    Raises:
        TooLittleMemory: one of them does not fit, with the figures and what to change.
        OneDeviceOnly: Adafactor is asked for and there are several processes.
    """
    free = usable_memory_bytes(workload)
    sharded = workload.n_processes > 1
    if sharded and optimiser is OptimiserName.ADAFACTOR:
        raise OneDeviceOnly(
            f"adafactor trains a network on one device, not on {workload.n_processes}: name one "
            "device, or use adamw (a study keeps the optimiser that it began with)"
        )
    candidates = [
        TrainingPlan(
            optimiser=name,
            precision=precision
            or (
                Precision.BF16
                if name is OptimiserName.ADAFACTOR
                else natural_precision(workload.device)
            ),
        )
        for name in OptimiserName
        if optimiser in (None, name) and not (sharded and name is OptimiserName.ADAFACTOR)
    ]
    for plan in candidates:
        found = _largest_need(architectures, plan, workload, free)
        if _fits(found.need, free):
            return found
    raise TooLittleMemory(_refusal(found, workload, optimiser, precision))


def choose_layout(
    architecture: Architecture,
    plan: TrainingPlan,
    workload: Workload,
    free: int,
) -> Layout:
    """The fastest layout that fits into `free` bytes, or the smallest should none do."""
    return _fit(architecture, plan, workload, free)[0]


def _fit(
    architecture: Architecture, plan: TrainingPlan, workload: Workload, free: int
) -> tuple[Layout, MemoryNeed]:
    """The layout of `choose_layout` and what it needs."""
    for layout in _layouts(architecture, plan, workload):
        need = memory_need(architecture, plan, layout, workload)
        if _fits(need, free):
            break
    return layout, need


def memory_need(
    architecture: Architecture,
    plan: TrainingPlan,
    layout: Layout,
    workload: Workload,
) -> MemoryNeed:
    """What training `architecture` takes at its peak."""
    d_model = architecture.d_model
    matrix = plan.precision.dtype.itemsize
    state = _state_sharded if workload.n_processes > 1 else _state
    weights, gradients, optimiser = state(architecture, plan, layout, workload)
    tokens = min(layout.micro_batch, workload.batch_size) * N_PATCHES
    layer = tokens * _bytes_per_token(architecture, matrix)
    if layout.checkpoint_every:
        kept = -(-architecture.n_layers // layout.checkpoint_every) * tokens * d_model * _FP32
        activations = kept + layout.checkpoint_every * layer
    else:
        activations = architecture.n_layers * layer
    # The backward pass of a layer holds about as much again of the layer it is in.
    window = (3 * WINDOW_DAYS + 2 * N_PATCHES * PATCH_DAYS) * workload.n_features * _FP32
    activations += layer // 2 + layout.micro_batch * window + tokens * 3 * d_model * _FP32
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


def _state(
    architecture: Architecture, plan: TrainingPlan, layout: Layout, _workload: Workload
) -> tuple[int, int, int]:
    """Bytes of weights, gradients and optimiser."""
    d_model, n_layers, d_ff = architecture.d_model, architecture.n_layers, architecture.d_ff
    params = architecture.param_count
    matrix = plan.precision.dtype.itemsize
    in_matrices = n_layers * _matrices_of_a_layer(architecture)
    weights = in_matrices * matrix + (params - in_matrices) * _FP32
    if plan.optimiser is OptimiserName.ADAMW:
        masters = in_matrices * _FP32 if plan.precision is Precision.BF16 else 0
        optimiser = masters + params * 2 * _FP32
        # Their sum in fp32, and those of each micro-batch at work, one by one and in one piece.
        gradients = params * _FP32 + 2 * layout.threads * weights
    else:
        optimiser = 4 * n_layers * (4 * d_model + d_model + d_ff) * _FP32
        # One matrix at a time: its gradient, the update, its square, and the random bits.
        gradients = d_model * max(d_ff, 3 * d_model) * (matrix + 3 * _FP32 + 2)
    return weights, gradients, optimiser


def _state_sharded(
    architecture: Architecture, plan: TrainingPlan, layout: Layout, workload: Workload
) -> tuple[int, int, int]:
    """As `_state`, of AdamW in one of several processes (`mlproject.training.sharded.network`)."""
    layer = _matrices_of_a_layer(architecture)
    in_matrices = architecture.n_layers * layer
    # Its part of the masters, and what it holds whole as the others do.
    held = -(-in_matrices // workload.n_processes) + architecture.param_count - in_matrices
    matrix = plan.precision.dtype.itemsize
    # Layers put together: those that are computed again, the next one, and its parts' copies.
    together = (max(1, layout.checkpoint_every) + 2) * layer * matrix
    # The gradients of a layer as they come, and in fp32 on their way to the other processes.
    under_way = layer * (matrix + 2 * _FP32)
    return held * _FP32 + together, held * _FP32 + under_way, held * 2 * _FP32


def _matrices_of_a_layer(architecture: Architecture) -> int:
    """Parameters of a layer's matrices and their biases: all but its norms."""
    d_model, d_ff = architecture.d_model, architecture.d_ff
    return 4 * d_model**2 + 2 * d_model * d_ff + 5 * d_model + d_ff


def _bytes_per_token(architecture: Architecture, matrix: int) -> int:
    """What one layer keeps of a token for the backward pass.

    Two inputs of norms in fp32 with their means and deviations; the inputs of four linear layers,
    query, key and value, and two dropout masks; the hidden layer before and after its activation
    and its mask; the attention weights, their mask and their copy in the matrices' type.
    """
    d_model, d_ff, heads = architecture.d_model, architecture.d_ff, architecture.n_heads
    residual = 2 * (d_model + 2) * _FP32
    attention = N_PATCHES * heads * (2 * _FP32 + matrix)
    return residual + 8 * d_model * matrix + 3 * d_ff * matrix + attention


def _layouts(architecture: Architecture, plan: TrainingPlan, workload: Workload) -> list[Layout]:
    """From the fastest to the one that needs the least memory."""
    batch_size = workload.batch_size
    if plan.optimiser is OptimiserName.ADAFACTOR:
        return [Layout(micro_batch=batch_size, checkpoint_every=_checkpoints(architecture, plan))]
    batch_size = -(-batch_size // workload.n_processes)
    threads = 1
    one_process = workload.n_processes == 1
    if (
        one_process
        and workload.device.type == "cpu"
        and architecture.param_count <= LARGEST_THREADED
    ):
        threads = max(1, min(torch.get_num_threads(), batch_size // SMALLEST_THREADED_BATCH))
    whole = Layout(micro_batch=-(-batch_size // threads), threads=threads)
    layouts = [whole, Layout(micro_batch=batch_size)] if threads > 1 else [whole]
    smaller = replace(layouts[-1], checkpoint_every=_checkpoints(architecture, plan))
    layouts.append(smaller)
    while smaller.micro_batch > 1:
        smaller = replace(smaller, micro_batch=-(-smaller.micro_batch // 2))
        layouts.append(smaller)
    return layouts


def _checkpoints(architecture: Architecture, plan: TrainingPlan) -> int:
    """Layers between two checkpoints: what is kept and what is computed again balance."""
    layer = _bytes_per_token(architecture, plan.precision.dtype.itemsize)
    between = (architecture.n_layers * architecture.d_model * _FP32 / layer) ** 0.5
    return max(1, round(between))


def _largest_need(
    architectures: Sequence[Architecture],
    plan: TrainingPlan,
    workload: Workload,
    free: int,
) -> MemoryPlan:
    found = []
    for architecture in architectures:
        layout, need = _fit(architecture, plan, workload, free)
        found.append(
            MemoryPlan(
                training=plan,
                architecture=architecture,
                layout=layout,
                need=need,
                free=free,
                n_processes=workload.n_processes,
            )
        )
    return max(found, key=lambda plan: plan.need.total)


def _fits(need: MemoryNeed, free: int) -> bool:
    return need.to_be_taken <= free * (1 - SPARE)


def _refusal(
    plan: MemoryPlan,
    workload: Workload,
    optimiser: OptimiserName | None,
    precision: Precision | None,
) -> str:
    """One line: what is needed, what is free, and the smallest change that would do."""
    row, need = plan.architecture, plan.need
    if optimiser is OptimiserName.ADAMW or precision is Precision.FP32:
        advice = "leave optimiser and precision at auto"
    else:
        missing = need.to_be_taken / (1 - SPARE) - plan.free
        others = "" if workload.memory_limit_bytes is None else "fewer workers, "
        other = "another device" if plan.n_processes == 1 else "more devices"
        advice = f"free {missing / 1e9:.1f} GB more, use {others}{other}, or a smaller budget"
    usable = plan.free * (1 - SPARE)
    return (
        f"too little memory on {_where(workload)}: the architecture of {row.param_count:,} "
        f"parameters ({row.n_layers} layers of width {row.d_model}) needs "
        f"{need.to_be_taken / 1e9:.1f} GB with {plan.training.optimiser} in "
        f"{plan.training.precision} and steps of {workload.batch_size} windows, and "
        f"{usable / 1e9:.1f} of {plan.free / 1e9:.1f} GB free can be used: {advice}"
    )


def _where(workload: Workload) -> str:
    if workload.n_processes == 1:
        return str(workload.device)
    return f"each of {workload.n_processes} devices ({workload.device.type})"


def natural_precision(device: torch.device) -> Precision:
    """bf16 where the device computes in it faster than in fp32."""
    if device.type == "cuda":
        return Precision.BF16 if torch.cuda.is_bf16_supported(False) else Precision.FP32
    if device.type == "cpu":
        able = torch.cpu.get_capabilities()
        has_bf16 = able.get("avx512_bf16", False) or able.get("amx_bf16", False)
        return Precision.BF16 if has_bf16 else Precision.FP32
    return Precision.FP32


def usable_memory_bytes(workload: Workload) -> int:
    """What the device could still give to each process of a training, whose limit is kept to."""
    free, limit = free_memory_bytes(workload.device), workload.memory_limit_bytes
    if limit is not None:
        free = max(0, min(free, limit - _held_bytes(workload.device)))
    if workload.n_processes > 1 and workload.device.type == "cpu":
        return free // workload.n_processes - PROCESS_BYTES
    return free


def _held_bytes(device: torch.device) -> int:
    """What this process holds of the device."""
    if device.type == "cuda":
        return int(torch.cuda.memory_reserved(device))
    return int(psutil.Process().memory_info().rss)


def free_memory_bytes(device: torch.device) -> int:
    """What the device could still give."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return int(psutil.virtual_memory().available)
