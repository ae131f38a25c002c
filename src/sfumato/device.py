"""Where networks run: one notion for the commands, the library and the papers' recipes."""

from __future__ import annotations

import re
from itertools import chain
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from sfumato.errors import ConfigError, UnavailableError

if TYPE_CHECKING:
    import torch
    from torch import nn

Device: TypeAlias = str
"""`auto` (the accelerator if there is one), `cpu`, `cuda`, `cuda:1`, `mps`, `xpu` or `xpu:1`."""

Precision: TypeAlias = Literal["no", "bf16", "fp16"]
"""Numbers of a training's forward passes: float32, or 16 bits where that is faster."""

_FORM: Final = re.compile(r"auto|cpu|mps|(cuda|xpu)(:(0|[1-9]\d{0,2}))?")


def parse_device(text: str) -> Device:
    """Return the device that a text names; whether it is there, `resolve_device` tells.

    Raises:
        ConfigError: the text names no device.
    """
    if not _FORM.fullmatch(text):
        raise ConfigError(
            f"expected a device: auto, cpu, cuda, cuda:N, mps, xpu or xpu:N; got {text[:40]!r}"
        )
    return text


def resolve_device(device: Device) -> torch.device:
    """Return the device itself, of which this machine has one.

    Raises:
        ConfigError: the text names no device.
        UnavailableError: this machine has no such device.
    """
    # A command that runs no network starts without torch.
    import torch

    there = torch.accelerator.current_accelerator(check_available=True)
    if parse_device(device) == "auto":
        return there or torch.device("cpu")
    asked = torch.device(device)
    if asked.type == "cpu":
        return asked
    count = 0 if there is None or there.type != asked.type else torch.accelerator.device_count()
    if (asked.index or 0) >= count:
        found = "none" if there is None else f"{torch.accelerator.device_count()} of {there.type}"
        raise UnavailableError(
            f"expected an accelerator {device!r}, this machine has {found}; "
            "take the device auto or cpu, or install the PyTorch build for it"
        )
    return asked


def precision_on(device: torch.device, wanted: Precision) -> Precision:
    """Return the precision in which to train there: float32 where 16 bits would be slower.

    Without AVX-512 PyTorch computes a product of 16-bit numbers on a CPU one by one: a convolution
    takes 16 times as long as in float32, and a matrix product 100 times.
    """
    import torch

    slow = device.type == "cpu" and torch.backends.cpu.get_cpu_capability() != "AVX512"
    return "no" if slow else wanted


def device_of(net: nn.Module) -> torch.device:
    """Return the device that a network is on; one without numbers of its own is on the CPU."""
    import torch

    numbers = chain(net.parameters(), net.buffers())
    return next((tensor.device for tensor in numbers), torch.device("cpu"))
