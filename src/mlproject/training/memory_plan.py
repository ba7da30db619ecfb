"""The memory plan: the optimiser and precision that every architecture of a study fits, or why not.

It is made before anything starts. The needs come from `memory_need`, the layouts from `layouts`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

from mlproject.errors import UserError
from mlproject.models.arch_grid import Architecture
from mlproject.training.device import natural_precision
from mlproject.training.layouts import SPARE, choose_layout_and_need, fits
from mlproject.training.memory_need import MemoryNeed
from mlproject.training.plan import Layout, OptimiserName, Precision, TrainingPlan
from mlproject.training.workload import Workload, usable_memory_bytes


class TooLittleMemory(UserError):
    """The largest architecture of a study cannot be trained here."""


class OneDeviceOnly(UserError):
    """Adafactor was asked for on several devices."""


@dataclass(frozen=True, kw_only=True)
class MemoryPlan:
    """The training plan of a study, and what its most demanding architecture needs under it."""

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
    for plan in _candidates(workload, optimiser, precision):
        found = _largest_need(architectures, plan, workload, free)
        if fits(found.need, free):
            return found
    raise TooLittleMemory(_refusal(found, workload, optimiser, precision))


def _candidates(
    workload: Workload, optimiser: OptimiserName | None, precision: Precision | None
) -> list[TrainingPlan]:
    """The plans that may be taken, the fastest first."""
    sharded = workload.n_processes > 1
    if sharded and optimiser is OptimiserName.ADAFACTOR:
        raise OneDeviceOnly(
            f"adafactor trains a network on one device, not on {workload.n_processes}: name one "
            "device, or use adamw (a study keeps the optimiser that it began with)"
        )
    names = [OptimiserName.ADAMW] if sharded else list(OptimiserName)
    return [
        TrainingPlan(optimiser=name, precision=precision or _precision_for(name, workload))
        for name in names
        if optimiser in (None, name)
    ]


def _precision_for(optimiser: OptimiserName, workload: Workload) -> Precision:
    """bf16 for Adafactor, whose networks are the hardest to fit."""
    if optimiser is OptimiserName.ADAFACTOR:
        return Precision.BF16
    return natural_precision(workload.device)


def _largest_need(
    architectures: Sequence[Architecture], plan: TrainingPlan, workload: Workload, free: int
) -> MemoryPlan:
    found = []
    for architecture in architectures:
        layout, need = choose_layout_and_need(architecture, plan, workload, free)
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
