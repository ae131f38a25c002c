"""A semi-adversarial network as one ONNX file, for runtimes without torch."""

from __future__ import annotations

import importlib.util
import warnings
from pathlib import Path

import torch

from sfumato.errors import UnavailableError
from sfumato.files import replacing
from sfumato.protect.san import SemiAdversarial


def export_onnx(protector: SemiAdversarial, path: Path) -> None:
    """Write what `release` computes: `images (n, c, h, w)` in [0, 1] to `release`, any n.

    The own classifier that guesses the attributes is part of the graph.

    Raises:
        UnavailableError: the extra `onnx` is not installed.
        InputError: the file cannot be written.
    """
    if importlib.util.find_spec("onnxscript") is None:
        raise UnavailableError("exporting to ONNX needs the extra: pip install 'sfumato[onnx]'")
    example = torch.zeros(2, *protector.shape, device=protector.prototypes.device)
    training = protector.training
    protector.eval()
    with replacing(path) as part, warnings.catch_warnings():
        # The exporter warns of its own internals, which a caller can do nothing about.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            protector,
            (example,),
            str(part),
            input_names=["images"],
            output_names=["release"],
            dynamic_shapes={"images": {0: torch.export.Dim("n", min=1)}},
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    protector.train(training)
