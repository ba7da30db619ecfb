"""The device that trains: text becomes a `torch.device` here and nowhere else.

From then on the data carries it: a training runs where its data lies.
"""

import torch

from mlproject.errors import UserError
from mlproject.training.plan import Precision


class DeviceUnavailable(UserError):
    """The device asked for is not there."""


def select_device(name: str) -> torch.device:
    """The device of a name: ``cpu``, ``cuda``, ``cuda:1``, ``mps``, or ``auto``.

    ``auto`` is a GPU where there is one, and the CPU elsewhere.

    Raises:
        DeviceUnavailable: no such device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise DeviceUnavailable(
            f"device {name!r} cannot be used here ({reason}): use auto or cpu"
        ) from error
    return device


def select_devices(names: str) -> tuple[torch.device, ...]:
    """The devices of a text: one, as `select_device`, or several that share each training.

    ``cuda:0,cuda:1`` is two GPUs, ``cpu,cpu`` two processes on the CPU.

    Raises:
        DeviceUnavailable: one of them is not here, or they do not go together.
    """
    devices = tuple(select_device(name.strip()) for name in names.split(","))
    if len(devices) == 1:
        return devices
    kinds = {device.type for device in devices}
    numbers = {device.index for device in devices}
    if kinds == {"cpu"}:
        return devices
    if kinds == {"cuda"} and len(numbers) == len(devices) and None not in numbers:
        return devices
    raise DeviceUnavailable(
        f"devices {names!r} do not go together: name different GPUs, such as cuda:0,cuda:1, or "
        "cpu once for each process"
    )


def natural_precision(device: torch.device) -> Precision:
    """The precision that the device computes fastest in: bf16 where it has units for it."""
    if device.type == "cuda":
        return Precision.BF16 if torch.cuda.is_bf16_supported(False) else Precision.FP32
    if device.type == "cpu":
        able = torch.cpu.get_capabilities()
        has_bf16 = able.get("avx512_bf16", False) or able.get("amx_bf16", False)
        return Precision.BF16 if has_bf16 else Precision.FP32
    return Precision.FP32
