"""What Optuna's storage keeps of the epochs of a trial, and back."""

import json

from hypothesis import given
from hypothesis import strategies as st

from mlproject.tracking.names import EPOCH_METRICS
from mlproject.training.epoch_metrics import EpochMetrics, kept_values, restore_epochs

LOSSES = st.floats(0, 10, allow_nan=False)


BLOCKS = st.none() | st.lists(LOSSES, min_size=1, max_size=10).map(tuple)


@given(st.lists(st.tuples(st.none() | LOSSES, LOSSES, BLOCKS), max_size=8))
def test_what_is_kept_comes_back(
    losses: list[tuple[float | None, float, tuple[float, ...] | None]],
) -> None:
    epochs = tuple(
        EpochMetrics(epoch=epoch, train_loss=train_loss, val_loss=val_loss, val_block_losses=blocks)
        for epoch, (train_loss, val_loss, blocks) in enumerate(losses, 1)
    )
    reported = {each.epoch: each.val_loss for each in epochs}
    kept = json.loads(json.dumps(kept_values(epochs)))  # as Optuna's storage has it
    assert restore_epochs(kept, reported) == epochs


def test_an_epoch_that_was_reported_alone_has_no_training_loss() -> None:
    (first, second) = restore_epochs({"train_losses": [0.7]}, {1: 0.6, 2: 0.5})
    assert (first.train_loss, second.train_loss) == (0.7, None)


def test_what_a_stranger_wrote_is_no_loss() -> None:
    for strange in ("0.7", {"1": 0.7}, ["0.7"], [True], None):
        assert restore_epochs({"train_losses": strange}, {1: 0.6})[0].train_loss is None


def test_every_metric_of_an_epoch_has_its_name_in_mlflow() -> None:
    assert EPOCH_METRICS == ("train_loss", "val_loss")
