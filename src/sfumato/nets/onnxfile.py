"""A network as one ONNX file, for any batch."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from sfumato.extras import needs
from sfumato.files import replacing

_OPSET = 18


def write_onnx(net: nn.Module, examples: Mapping[str, Tensor], output: str, path: Path) -> None:
    """Write what `net` computes in evaluation mode, whole or not at all.

    `examples` are its inputs in order, by the names that they get in the file, each with two rows:
    the first dimension is the batch and stays open. The weights are inside the file.

    Raises:
        UnavailableError: the extra `onnx` is not installed.
        InputError: the file cannot be written.
    """
    needs("onnx", "exporting to ONNX", "onnxscript")
    modes = [(part, part.training) for part in net.modules()]
    net.eval()
    batch = torch.export.Dim("n", min=1)
    with replacing(path) as file, warnings.catch_warnings():
        # The exporter warns of its own internals, which a caller can do nothing about.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            net,
            tuple(examples.values()),
            str(file),
            opset_version=_OPSET,
            input_names=list(examples),
            output_names=[output],
            dynamic_shapes=tuple({0: batch} for _ in examples),
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    for part, training in modes:
        part.training = training
