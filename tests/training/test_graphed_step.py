"""A step that is recorded once and repeated, without the device that records: on the CPU."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from mlproject.data.windows import WindowedData
from mlproject.training.graphed_step import SWITCH, GraphedStep, Work, wants_graph
from mlproject.training.initial_model import build_model
from mlproject.training.optimisers import make_optimiser
from mlproject.training.plan import (
    FP32_ADAMW,
    Layout,
    OptimiserName,
    Precision,
    TrainingPlan,
)
from mlproject.training.step import TrainingStep
from mlproject.training.system.threads import BatchThreads
from tests.training.small_training import ARCHITECTURE, SETTINGS

STILL = replace(SETTINGS, dropout=0.0)
BF16_ADAMW = replace(FP32_ADAMW, precision=Precision.BF16)


class CpuRecorder:
    """Repeats work by doing it again; Python runs each time, which a graph does not do."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def rehearse(self, work: Callable[[], Tensor]) -> Tensor:
        self.done.append("rehearsed")
        return work()

    def record(self, work: Work) -> Work:
        self.done.append("recorded")

        def repeat() -> None:
            self.done.append("repeated")
            work()

        return repeat


class RefusingRecorder(CpuRecorder):
    """Cannot record anything."""

    def record(self, work: Work) -> Work:  # noqa: ARG002
        raise RuntimeError("operation not permitted when stream is capturing")


def make_step(
    data: WindowedData,
    plan: TrainingPlan,
    kind: Callable[..., TrainingStep] = TrainingStep,
    layout: Layout = Layout(micro_batch=64),  # noqa: B008 # frozen
    **more: Any,
) -> TrainingStep:
    """A step on a fresh network."""
    model = build_model(ARCHITECTURE, data, STILL, plan)
    with BatchThreads(1) as threads:
        return kind(
            model=model,
            optimiser=make_optimiser(plan, model, STILL),
            data=data,
            settings=STILL,
            threads=threads,
            layout=layout,
            **more,
        )


def take_steps(step: TrainingStep, data: WindowedData) -> tuple[list[float], list[Tensor]]:
    """The losses of six whole batches and a smaller one among them, and the weights after them."""
    ends = data.train[: 7 * 64].split(64)
    batches = [*ends[:5], ends[5][:40], ends[6]]
    losses = [
        step.run(batch, number, 1e-3 / (number + 1)).item() for number, batch in enumerate(batches)
    ]
    return losses, [weight.detach() for weight in step.model.parameters()]


@pytest.mark.parametrize("plan", [FP32_ADAMW, BF16_ADAMW], ids=["fp32", "bf16"])
def test_a_recorded_step_is_the_step_as_it_is(data: WindowedData, plan: TrainingPlan) -> None:
    recorder = CpuRecorder()
    plain = take_steps(make_step(data, plan), data)
    graphed = take_steps(make_step(data, plan, GraphedStep, recorder=recorder), data)
    assert graphed[0] == pytest.approx(plain[0], rel=1e-6)
    for found, expected in zip(graphed[1], plain[1], strict=True):
        torch.testing.assert_close(found, expected)
    # Three rehearsals, one recording, two whole batches more; the smaller one is none of these.
    assert recorder.done == ["rehearsed"] * 3 + ["recorded"] + ["repeated"] * 3


def test_the_work_reads_what_its_tensors_hold_when_it_is_repeated(data: WindowedData) -> None:
    repeats: list[Work] = []

    class Keeping(CpuRecorder):
        def record(self, work: Work) -> Work:
            repeats.append(work)
            return work

    step = make_step(data, FP32_ADAMW, GraphedStep, recorder=Keeping())
    take_steps(step, data)
    (repeat,) = repeats
    before = [weight.detach().clone() for weight in step.model.parameters()]
    addresses = [weight.data_ptr() for weight in step.model.parameters()]
    assert isinstance(step, GraphedStep)
    step._rate.fill_(0.0)
    repeat()
    now = list(step.model.parameters())
    assert [weight.data_ptr() for weight in now] == addresses
    assert all(map(torch.equal, now, before))
    step._rate.fill_(1e-3)
    repeat()
    assert not all(map(torch.equal, now, before))


class Waits(TorchDispatchMode):
    """Notes every operation that gives Python a number: the device is waited for."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in (torch.ops.aten._local_scalar_dense.default, torch.ops.aten.nonzero.default):
            self.found.append(str(func))
        return func(*args, **(kwargs or {}))


def test_the_work_never_waits_for_the_device(data: WindowedData) -> None:
    step = make_step(data, BF16_ADAMW, GraphedStep, recorder=CpuRecorder())
    assert isinstance(step, GraphedStep)
    with Waits() as waits:
        step._work()
        assert waits.found == []
        step._loss.item()
        assert waits.found == ["aten._local_scalar_dense.default"]


@pytest.mark.parametrize(
    "layout", [Layout(micro_batch=32), Layout(micro_batch=64, checkpoint_every=1)]
)
def test_a_batch_in_parts_or_activations_computed_twice_are_not_recorded(
    data: WindowedData, layout: Layout
) -> None:
    recorder = CpuRecorder()
    take_steps(make_step(data, FP32_ADAMW, GraphedStep, layout, recorder=recorder), data)
    assert recorder.done == []


def test_what_cannot_be_recorded_is_taken_as_it_is(
    data: WindowedData, caplog: pytest.LogCaptureFixture
) -> None:
    plain = take_steps(make_step(data, FP32_ADAMW), data)
    refused = take_steps(
        make_step(data, FP32_ADAMW, GraphedStep, recorder=RefusingRecorder()), data
    )
    assert refused[0] == plain[0]
    (warning,) = caplog.messages
    assert warning.startswith("the step cannot be recorded: operation not permitted")


def test_a_graph_is_for_adamw_on_a_gpu_and_only_where_it_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gpu, cpu = torch.device("cuda"), torch.device("cpu")
    adafactor = TrainingPlan(optimiser=OptimiserName.ADAFACTOR, precision=Precision.BF16)
    monkeypatch.delenv(SWITCH, raising=False)
    assert not wants_graph(FP32_ADAMW, gpu)
    monkeypatch.setenv(SWITCH, "1")
    assert wants_graph(FP32_ADAMW, gpu)
    assert not wants_graph(FP32_ADAMW, cpu)
    assert not wants_graph(adafactor, gpu)
