"""Devices by name."""

import pytest
import torch

from mlproject.training.device import DeviceUnavailable, select_device, select_devices


def test_auto_takes_what_is_there() -> None:
    expected = "cuda" if torch.cuda.is_available() else "cpu"
    assert select_device("auto").type == expected


@pytest.mark.parametrize("name", ["cuda:99", "quantum", "cpu; touch x", ""])
def test_a_device_that_is_not_there_is_one_clear_line(name: str) -> None:
    with pytest.raises(DeviceUnavailable, match="use auto or cpu") as caught:
        select_device(name)
    assert "\n" not in str(caught.value)


def test_several_devices_are_named_with_commas() -> None:
    assert select_devices("cpu") == (torch.device("cpu"),)
    assert select_devices("cpu, cpu") == (torch.device("cpu"),) * 2


@pytest.mark.parametrize("names", ["cpu,meta", "meta,meta", "cpu,", "cpu,cuda:99"])
def test_devices_that_do_not_go_together_are_one_clear_line(names: str) -> None:
    with pytest.raises(
        DeviceUnavailable, match=r"do not go together|cannot be used here"
    ) as caught:
        select_devices(names)
    assert "\n" not in str(caught.value)
