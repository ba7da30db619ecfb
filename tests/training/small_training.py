"""An architecture and settings that train in a second."""

from mlproject.models.arch_grid import Architecture
from mlproject.training.settings import TrainingSettings

ARCHITECTURE = Architecture(arch_idx=0, d_model=64, n_layers=2, n_heads=4, d_ff=128, param_count=0)
SETTINGS = TrainingSettings(
    learning_rate=1e-3,
    epochs=3,
    batch_size=64,
    weight_decay=1e-4,
    warmup_steps=5,
    dropout=0.1,
    seed=7,
)
