"""One process of a training on several devices: its network's part, trained by the usual loop.

What starts it and hears it is in `processes`.
"""

import os
import pickle
import sys
import threading
import time
import warnings
from multiprocessing import parent_process
from multiprocessing.connection import Connection

import numpy as np
import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh

from mlproject.training.checkpoint import identity_of
from mlproject.training.epoch_metrics import EpochMetrics
from mlproject.training.initial_model import predict_base_rate, seed_of_names
from mlproject.training.loop import run_training
from mlproject.training.result import TrainingResult
from mlproject.training.sharded.job import Failure, Job, StepTaken
from mlproject.training.sharded.network import ShardedAdamW, build_sharded
from mlproject.training.sharded.step import ShardedTrainingStep

STDERR = 2


def run_process(
    rank: int, job: bytes, meeting_place: str, connection: Connection, stderr: Connection
) -> None:
    """The whole life of one process: it ends when the caller ends it, or with the caller."""
    os.dup2(stderr.fileno(), STDERR)
    threading.Thread(target=_end_with_the_caller, daemon=True).start()
    # A warning about the logits, which are never changed in place.
    warnings.filterwarnings("ignore", message=".*returned a view tensor", category=UserWarning)
    try:
        connection.send(_train(rank, pickle.loads(job), meeting_place, connection))
    except BaseException as error:
        lines = str(error).splitlines() or [""]
        reason = f"failed with {type(error).__name__}: {lines[0]}"
        connection.send(Failure(reason, time.monotonic()))
        os._exit(1)  # at once: the usual end may wait for the other processes
    threading.Event().wait()


def _end_with_the_caller() -> None:
    caller = parent_process()
    assert caller is not None
    caller.join()
    os._exit(1)


def _train(rank: int, job: Job, meeting_place: str, connection: Connection) -> TrainingResult:
    """The result of the training, as this process sees it."""

    def on_epoch(losses: EpochMetrics) -> bool:
        if rank == 0:
            connection.send(losses)
        stop: bool = connection.recv()
        return stop

    def on_step(step: int, steps: int) -> None:
        connection.send(StepTaken(step, steps))

    return run_training(
        _prepare(rank, job, meeting_place),
        identity_of(job.architecture, job.settings, job.plan),
        on_epoch,
        checkpoint=job.checkpoint,
        on_step=on_step if rank == 0 else None,
    )


def _prepare(rank: int, job: Job, meeting_place: str) -> ShardedTrainingStep:
    """The step of this process, with its part of a fresh model, once all processes have met."""
    device, settings = job.devices[rank], job.settings
    if device.type == "cuda":
        torch.cuda.set_device(device)
        backend = "cpu:gloo,cuda:nccl"
    else:
        torch.set_num_threads(job.threads)
        backend = "gloo"
    if sys.platform == "linux":
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    n_processes = len(job.devices)
    dist.init_process_group(
        backend, init_method=f"file://{meeting_place}", rank=rank, world_size=n_processes
    )
    data = job.data.to(device)
    torch.manual_seed(settings.seed)
    mesh = init_device_mesh(device.type, (n_processes,))
    model = build_sharded(
        job.architecture,
        num_features=job.data.n_features,
        precision=job.plan.precision,
        mesh=mesh,
        seed_of_names=seed_of_names(settings),
    )
    predict_base_rate(model, data)
    # On a GPU dropout masks come from this generator: each process has other windows.
    torch.manual_seed(int(np.random.SeedSequence((settings.seed, rank)).generate_state(1)[0]))
    return ShardedTrainingStep(
        model=model,
        optimiser=ShardedAdamW(model, settings),
        data=data,
        settings=settings,
        layout=job.layout,
    )
