"""The schedule of a training: how many steps an epoch has, and the learning rate of each."""

import math

EPOCH_WINDOWS = 1 << 17
"""An epoch of many markets is so many windows of theirs, not all: 512 steps of 256. Else a study of
a thousand markets would hear of a network after 14,000 steps, and its ranges of epochs and warm-up
would mean something else. No market alone has as many."""


def epoch_windows(train_windows: int) -> int:
    """How many of the training windows an epoch takes."""
    return min(train_windows, EPOCH_WINDOWS)


def steps_per_epoch(train_windows: int, *, batch_size: int, max_steps: int) -> int:
    """How many steps an epoch has, at most `max_steps`; 0 is no cap."""
    steps = math.ceil(epoch_windows(train_windows) / batch_size)
    return min(steps, max_steps or steps)


def steps_of_warmup(total_steps: int, *, warmup_steps: int, warmup_share: float) -> int:
    """Over how many of the steps of a training the learning rate rises."""
    return max(warmup_steps, round(warmup_share * total_steps))


def learning_rate_factor(step: int, *, warmup_steps: int, total_steps: int) -> float:
    """The factor on the learning rate at `step` (from 0): warm-up, then half a cosine to zero.

    Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts" (ICLR 2017),
    equation 5, without restarts. A warm-up longer than the training never leaves the ramp.
    """
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    progress = (step - warmup_steps) / max(1, total_steps - warmup_steps)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
