"""What can be known of Apple's GPUs without one: torch's own list of what it computes there."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchgen
import yaml
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from mlproject.data.windows import gather_windows
from mlproject.models.dropout import Dropout
from mlproject.models.patchtst import PatchTST
from mlproject.training.optimisers import Adafactor, AdamW
from mlproject.training.scores import block_losses
from tests.training.small_training import ARCHITECTURE, SETTINGS


class Operations(TorchDispatchMode):
    """Notes the operations, and the types of what comes out of them."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.dtypes: set[torch.dtype] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        if func.namespace == "aten":
            self.names.add(str(func).removeprefix("aten.").removesuffix(".default"))
        self.dtypes |= {t.dtype for t in tree_leaves(found) if isinstance(t, torch.Tensor)}
        return found


@contextmanager
def operations() -> Iterator[Operations]:
    with Operations() as noted:
        yield noted


def lacking(names: set[str]) -> list[str]:
    """Operations that have no kernel for MPS, and are not made of others."""
    path = Path(torchgen.__file__).parent / "packaged/ATen/native/native_functions.yaml"
    rows = yaml.load(path.read_text(encoding="utf-8"), yaml.CSafeLoader)
    table = {row["func"].split("(")[0]: row for row in rows}
    found = []
    for name in sorted(names):
        row = table[name]
        kernels = (
            [row, table[row["structured_delegate"]]] if "structured_delegate" in row else [row]
        )
        keys = " ".join(key for each in kernels for key in each.get("dispatch", {"Composite": ""}))
        if "MPS" not in keys and "Composite" not in keys:
            found.append(name)
    return found


def test_torch_has_every_operation_of_a_training_for_mps() -> None:
    names: set[str] = set()
    dtypes: set[torch.dtype] = set()
    for dtype in (torch.float32, torch.bfloat16):
        # What is taken on any device but the CPU, on torch's device without numbers.
        network = PatchTST.build(ARCHITECTURE, num_features=25, device="meta", matrix_dtype=dtype)
        with operations() as noted:
            features = torch.zeros(200, 25, device="meta")
            ends = torch.arange(60, 92, device="meta")
            for every in (0, 1):
                windows = gather_windows(features, ends)
                logits = network(windows, Dropout(0.1), checkpoint_every=every)
                labels = torch.zeros(32, device="meta")
                loss = functional.binary_cross_entropy_with_logits(logits, labels, reduction="sum")
                torch.autograd.grad(loss / 32, list(network.parameters()))
        names |= noted.names
        dtypes |= noted.dtypes
        for kind in (AdamW, Adafactor):
            small = PatchTST.build(ARCHITECTURE, num_features=25, matrix_dtype=dtype)
            optimiser = kind(small, SETTINGS)
            total = torch.stack([weight.float().sum() for weight in small.parameters()]).sum()
            with operations() as noted:
                optimiser.accumulate(optimiser.backward(total))
                optimiser.step()
            names |= noted.names
            dtypes |= noted.dtypes
    assert {"addmm", "native_layer_norm_backward", "_fused_adamw_", "index.Tensor"} < names
    assert lacking(names) == []
    assert torch.float64 not in dtypes
    assert lacking({"geqrf"}) == ["geqrf"]


def test_losses_become_float64_on_the_cpu_alone() -> None:
    values = torch.zeros(8, device="meta")
    with operations() as noted, pytest.raises(NotImplementedError, match="meta"):
        block_losses(values, values, np.zeros(8, dtype=np.int64))
    assert torch.float64 not in noted.dtypes
