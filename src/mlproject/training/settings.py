"""The training settings of one trial."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """What, beside the architecture, decides how one model is trained."""

    learning_rate: float
    """Peak of the schedule: linear warm-up, then half a cosine down to zero."""
    epochs: int
    batch_size: int
    """Windows per step."""
    weight_decay: float
    warmup_steps: int
    dropout: float
    seed: int
    """Fixes the initial weights, the order of the windows and the dropout masks."""
    patience_epochs: int = 10
    """Epochs without a better validation loss after which training ends early."""
    gradient_clip_norm: float = 1.0
    max_steps: int = 0
    """A cap on the batches of an epoch, of training and of validation each; 0 is none."""

    def __post_init__(self) -> None:
        positive = ("learning_rate", "epochs", "batch_size", "patience_epochs")
        for name in (*positive, "gradient_clip_norm"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)}: it must be positive")
        for name in ("weight_decay", "warmup_steps", "max_steps"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} is {getattr(self, name)}: it must not be negative")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout is {self.dropout}: it must be in [0, 1)")
