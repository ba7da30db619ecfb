"""Which device trains."""

import torch

from mlproject.errors import UserError


class DeviceUnavailable(UserError):
    """The device asked for is not there."""


def select_device(name: str) -> torch.device:
    """``auto`` (a GPU where there is one), ``cpu``, ``cuda``, ``cuda:1``, ``mps``.

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
    """One device, as `select_device`, or several to train each network on: ``cuda:0,cuda:1``.

    ``cpu,cpu`` is two processes on the CPU.

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
