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
