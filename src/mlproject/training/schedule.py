"""The learning rate schedule of a training."""

import math


def learning_rate_factor(step: int, *, warmup_steps: int, total_steps: int) -> float:
    """The factor on the learning rate at `step` (from 0): warm-up, then half a cosine to zero.

    Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts" (ICLR 2017),
    equation 5, without restarts. A warm-up longer than the training never leaves the ramp.
    """
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    progress = (step - warmup_steps) / max(1, total_steps - warmup_steps)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
