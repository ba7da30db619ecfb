"""A network and its optimiser state in parts: each process holds a part of every layer's matrices.

FSDP2 (`torch.distributed.fsdp.fully_shard`) puts the matrices of a layer together shortly before
they are used, and sums and shares out their gradients. Everything else (norms, positions,
projection and head, a thousandth of the parameters) is whole in every process. The processes
must do the same things in the same order: what one of them leaves out, the others wait for.
"""

from collections.abc import Iterator
from typing import cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor

from mlproject.models.arch_grid import Architecture
from mlproject.models.patchtst import Block, PatchTST
from mlproject.training.optimisers import weight_decay_of
from mlproject.training.plan import Precision
from mlproject.training.settings import TrainingSettings


def build_sharded(
    architecture: Architecture,
    *,
    num_features: int,
    precision: Precision,
    mesh: DeviceMesh,
    seed_of_names: int | None = None,
) -> PatchTST:
    """The network of `PatchTST.build`, with the same weights, of which this process keeps parts.

    The parts are fp32 masters; the products are computed in `precision`. No more memory is taken
    on the way than the parts and one whole matrix in fp32 on the CPU.
    """
    with torch.device("meta"):
        network = PatchTST(architecture, num_features=num_features)
    matrices = {
        parameter
        for module in network.blocks.modules()
        if isinstance(module, nn.Linear)
        for parameter in module.parameters()
    }
    others = set(network.parameters()) - matrices
    policy = MixedPrecisionPolicy(
        param_dtype=precision.dtype, reduce_dtype=torch.float32, cast_forward_inputs=False
    )
    for block in network.blocks:
        assert isinstance(block, Block)
        sharded: FSDPModule = fully_shard(
            block, mesh=mesh, mp_policy=policy, reshard_after_forward=True, ignored_params=others
        )
        # The losses are shares of the batch's mean already: their gradients are to be added.
        sharded.set_gradient_divide_factor(1.0)
        sharded.set_force_sum_reduction_for_comms(True)
    fully_shard(network, mesh=mesh, ignored_params=others)

    def write(parameter: Tensor, whole: Tensor) -> None:
        if isinstance(parameter, DTensor):
            # Masters begin at the weights that the products are computed with.
            parameter.to_local().copy_(_own_part(whole.to(precision.dtype), parameter))
        else:
            parameter.copy_(whole)

    network.to_empty(device=_device_of(mesh))
    network.reset_parameters(write, seed_of_names=seed_of_names)
    return network


class ShardedAdamW:
    """The AdamW of `mlproject.training.optimisers`, on the parts that this process holds.

    The norm that is clipped is that of all gradients of all processes.
    """

    def __init__(self, network: PatchTST, settings: TrainingSettings) -> None:
        self._parameters = dict(network.named_parameters())
        self._held = {name: _local(parameter) for name, parameter in self._parameters.items()}
        self._clip_norm = settings.gradient_clip_norm
        self._adamw = torch.optim.AdamW(
            [
                {"params": [held], "weight_decay": weight_decay_of(held, settings)}
                for held in self._held.values()
            ],
            fused=True,
        )
        self.learning_rate = settings.learning_rate

    def backward(self, loss: Tensor) -> None:
        """Add the gradients of one micro-batch's share of the loss to those of the step."""
        loss.backward()

    @torch.no_grad()
    def step(self) -> None:
        """Update the weights, and begin the next step without gradients."""
        self._sum_gradients_of_what_is_whole()
        shared: list[Tensor] = []
        whole: list[Tensor] = []
        for name, parameter in self._parameters.items():
            assert parameter.grad is not None
            gradient = _local(parameter.grad)
            self._held[name].grad = gradient
            (shared if isinstance(parameter, DTensor) else whole).append(gradient)
        square = nn.utils.get_total_norm(shared).square()
        dist.all_reduce(square)
        norm = (square + nn.utils.get_total_norm(whole).square()).sqrt()
        nn.utils.clip_grads_with_norm_(self._held.values(), self._clip_norm, norm)
        for group in self._adamw.param_groups:
            group["lr"] = self.learning_rate
        self._adamw.step()
        for name, parameter in self._parameters.items():
            parameter.grad = self._held[name].grad = None

    def whole_state(self) -> Iterator[tuple[str, dict[str, Tensor]]]:
        """Each parameter's weight and moments by its name, gathered one at a time, on the CPU."""
        for name, parameter in self._parameters.items():
            held = self._held[name]
            state = {"weight": held, **self._adamw.state[held]}
            yield name, {key: _whole(tensor, parameter) for key, tensor in state.items()}

    @torch.no_grad()
    def load_whole(self, name: str, saved: dict[str, Tensor]) -> None:
        """Take this process's part of a parameter's `whole_state`."""
        held = self._held[name]
        parts = {  # copies, so that the whole is free again
            key: _own_part(tensor, self._parameters[name]).to(held.device, copy=True)
            for key, tensor in saved.items()
        }
        held.copy_(parts.pop("weight"))
        self._adamw.state[held] = parts

    def _sum_gradients_of_what_is_whole(self) -> None:
        found = [p.grad for p in self._parameters.values() if not isinstance(p, DTensor)]
        gradients = cast(list[Tensor], found)
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        dist.all_reduce(flat)
        parts = flat.split([gradient.numel() for gradient in gradients])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view(gradient.shape))


def _device_of(mesh: DeviceMesh) -> torch.device:
    if mesh.device_type == "cpu":
        return torch.device("cpu")
    return torch.device(mesh.device_type, torch.cuda.current_device())


def _local(tensor: Tensor) -> Tensor:
    """What this process holds, as a plain tensor of the same memory."""
    return (tensor.to_local() if isinstance(tensor, DTensor) else tensor).detach()


def _own_part(whole: Tensor, parameter: Tensor) -> Tensor:
    """This process's part of a tensor that is shared out as the parameter is."""
    if not isinstance(parameter, DTensor) or whole.dim() == 0:
        return whole
    mesh = parameter.device_mesh
    # FSDP2 gives each process one chunk of the rows, the last ones fewer or none.
    chunks = whole.chunk(mesh.size())
    rank = mesh.get_local_rank()
    return chunks[rank] if rank < len(chunks) else whole[:0]


def _whole(held: Tensor, parameter: Tensor) -> Tensor:
    """The inverse of `_own_part`, on the CPU."""
    if isinstance(parameter, DTensor) and held.dim() > 0:
        shared = DTensor.from_local(
            held,
            parameter.device_mesh,
            parameter.placements,
            run_check=False,
            shape=parameter.shape,
            stride=parameter.stride(),
        )
        return shared.full_tensor().cpu()
    return held.cpu()
