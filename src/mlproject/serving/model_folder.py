"""A trained network in a folder: a card that a person can read, and the weights.

Nothing in the folder is code: the card is JSON, and the weights are read by torch with
`weights_only`, which makes tensors and refuses everything else.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from mlproject.data.features import NEED_VOLUME
from mlproject.errors import UserError
from mlproject.models.arch_grid import Architecture
from mlproject.models.patchtst import PatchTST

FORMAT = 2
"""Format 1 was of one market, which it did not name."""
_UNNAMED = ""
_SCALING = ("scaling_mean", "scaling_std")
_CARD = "model.json"
_WEIGHTS = "weights.pt"


class UnreadableModel(UserError):
    """The folder holds no model that this version of the program can read."""


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainedModel:
    """A network and what turns bars into its input."""

    network: PatchTST
    architecture: Architecture
    feature_names: tuple[str, ...]
    markets: tuple[str, ...]
    """Names of the markets that the network was trained on."""
    scaling_mean: npt.NDArray[np.float64]
    """(markets, features): taken off each feature of a market's day."""
    scaling_std: npt.NDArray[np.float64]
    """(markets, features): then divided by."""
    task: str
    horizon_days: int
    label_price: str
    trained_until: str
    """ISO date of the last window that the network was trained on."""

    @property
    def needs_no_volume(self) -> bool:
        """Whether bars without volume will do."""
        return not set(NEED_VOLUME) & set(self.feature_names)


def save_model(model: TrainedModel, folder: Path) -> None:
    """Write the model into a folder, made if missing."""
    folder.mkdir(parents=True, exist_ok=True)
    card = {
        "format": FORMAT,
        "architecture": asdict(model.architecture),
        "feature_names": list(model.feature_names),
        "markets": {
            market: {"scaling_mean": mean.tolist(), "scaling_std": std.tolist()}
            for market, mean, std in zip(
                model.markets, model.scaling_mean, model.scaling_std, strict=True
            )
        },
        "task": model.task,
        "horizon_days": model.horizon_days,
        "label_price": model.label_price,
        "trained_until": model.trained_until,
    }
    (folder / _CARD).write_text(json.dumps(card, indent=2), encoding="utf-8")
    weights = {name: value.cpu() for name, value in model.network.state_dict().items()}
    torch.save(weights, folder / _WEIGHTS)


def load_model(folder: Path) -> TrainedModel:
    """The model of a folder, its network on the CPU and in the precision it was trained in.

    Raises:
        UnreadableModel: the card is of another format, or the weights are not the card's.
    """
    card: dict[str, Any] = json.loads((folder / _CARD).read_text(encoding="utf-8"))
    match card.pop("format", None):
        case 2:
            markets: dict[str, dict[str, list[float]]] = card.pop("markets")
        case 1:
            markets = {_UNNAMED: {name: card.pop(name) for name in _SCALING}}
        case _:
            raise UnreadableModel(f"{folder}: {_CARD} is not of format 1 or {FORMAT}")
    mean, std = (np.array([of[name] for of in markets.values()]) for name in _SCALING)
    architecture = Architecture(**card.pop("architecture"))
    feature_names = tuple(card.pop("feature_names"))
    with torch.device("meta"):
        network = PatchTST(architecture, num_features=len(feature_names))
    weights = torch.load(folder / _WEIGHTS, map_location="cpu", weights_only=True, mmap=True)
    try:
        network.load_state_dict(weights, assign=True)
    except RuntimeError as error:
        raise UnreadableModel(f"{folder}: the weights are not those of {_CARD}") from error
    return TrainedModel(
        network=network.requires_grad_(False),
        architecture=architecture,
        feature_names=feature_names,
        markets=tuple(markets),
        scaling_mean=mean,
        scaling_std=std,
        **card,
    )
