"""The final networks: the chosen architecture, trained on training and validation per seed.

Nothing here sees the test span: the data it is given ends before it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from mlproject.analysis.evaluation.chosen import ChosenTrial
from mlproject.analysis.evaluation.context import EvaluationContext
from mlproject.data.windows import WindowedData
from mlproject.errors import UserError
from mlproject.models.patchtst import PatchTST
from mlproject.training.plan import TrainingPlan
from mlproject.training.train import train, train_final

Progress = Callable[[str], object]
"""Takes a line on how far the evaluation is."""


class NoBestEpoch(UserError):
    """The trial, repeated to find its best epoch, never had a finite loss."""

    exit_code = 1


@dataclass(frozen=True, kw_only=True, eq=False)
class FinalModel:
    """A network of one seed, trained for good."""

    network: PatchTST
    train_losses: tuple[float, ...]
    """Per epoch, nats."""


def final_seeds(study_seed: int, count: int) -> list[int]:
    """The seeds of the final networks, the same in every evaluation of a study.

    No trial had them: they are spawned from the study's seed, as no trial's is (numpy,
    `SeedSequence.spawn`).
    """
    children = np.random.SeedSequence(study_seed).spawn(count)
    return [int(child.generate_state(1)[0]) for child in children]


def find_best_epoch(chosen: ChosenTrial, search: WindowedData, plan: TrainingPlan) -> int:
    """Find the trial's best epoch by repeating the trial as a study would.

    `search` has the training and validation spans of the study.

    Raises:
        NoBestEpoch: no epoch had a finite loss.
    """
    result = train(chosen.architecture, search, chosen.settings, lambda _: False, plan=plan)
    if result.best_epoch is None:
        raise NoBestEpoch(
            f"trial {chosen.number} of {chosen.study_name}, repeated to find its best epoch, "
            "diverged: what is not known of its settings may be far from what was assumed"
        )
    return result.best_epoch


def train_final_models(
    context: EvaluationContext, data: WindowedData, plan: TrainingPlan, progress: Progress
) -> Iterator[FinalModel]:
    """Train on `data.train` once per seed; one network at a time is held here.

    Raises:
        TrainingDiverged: the loss of an epoch was no number or had exploded.
    """
    for number, seed in enumerate(context.seeds, 1):
        losses: list[float] = []
        network = train_final(
            context.chosen.architecture,
            data,
            replace(context.chosen.settings, seed=seed),
            epochs=context.epochs,
            on_epoch=losses.append,
            plan=plan,
        )
        progress(
            f"seed {number} of {len(context.seeds)}: trained, loss {losses[-1]:.4f} in "
            f"epoch {context.epochs}"
        )
        yield FinalModel(network=network, train_losses=tuple(losses))
