"""Networks published as TensorFlow graphs for browsers (`<name>.json` and `.bin`), run by torch.

Only the operations of face networks are known. Pictures are laid out as TensorFlow does: height,
width, channels last. Everything can be differentiated in the picture.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from papers.docl.facenet import unpack
from sfumato.errors import ArtifactError

Attributes = Mapping[str, Any]
_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "Relu": torch.relu,
    "Relu6": F.relu6,
    "BiasAdd": lambda x: x,
}


class Graph(nn.Module):
    """One published network: `graph(images, "name of a node")`, images `(n, h, w, c)`."""

    def __init__(self, nodes: Sequence[Mapping[str, Any]], weights: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.weights = dict(weights)
        self.nodes = {node["name"]: node for node in nodes}
        unknown = {node["op"] for node in nodes} - {"Placeholder", "Const", *_OPERATIONS}
        if unknown:
            raise ArtifactError(f"no operation {', '.join(sorted(unknown))} in this reader")

    def forward(self, images: Tensor, output: str) -> Tensor:
        """Return what one node gives."""
        return self._value(output.split(":")[0], {}, images)

    def _value(self, name: str, known: dict[str, Tensor], images: Tensor) -> Tensor:
        if name in self.weights:
            return self.weights[name]
        if name not in known:
            node = self.nodes[name]
            if node["op"] == "Placeholder":
                return images
            values = [self._value(entry, known, images) for entry in node["input"]]
            known[name] = _OPERATIONS[node["op"]](values, node.get("attr", {}))
        return known[name]


def load_graph(folder: Path, name: str) -> Graph:
    """Read `<name>.json` and `<name>.bin`.

    Raises:
        ArtifactError: a file is missing or damaged, or needs an operation unknown here.
    """
    try:
        model = json.loads((folder / f"{name}.json").read_text())
        content = (folder / f"{name}.bin").read_bytes()
        entries = model["weightsManifest"][0]["weights"]
        nodes = model["modelTopology"]["node"]
    except (OSError, ValueError, KeyError, IndexError) as error:
        raise ArtifactError(f"expected {name}.json and {name}.bin in {folder}: {error}") from error
    return Graph(nodes, unpack(content, entries, f"{name}.bin")).requires_grad_(False).eval()


def _same(x: Tensor, size: Sequence[int], stride: Sequence[int], value: float = 0.0) -> Tensor:
    """Pad as TensorFlow's "same" does: the odd pixel goes to the right and below."""
    wanted = [
        max((-(-side // s) - 1) * s + k - side, 0)
        for side, k, s in zip(x.shape[2:], size, stride, strict=True)
    ]
    (tall, wide) = wanted
    edges = (wide // 2, wide - wide // 2, tall // 2, tall - tall // 2)
    return F.pad(x, edges, value=value) if any(edges) else x


def _ints(attributes: Attributes, name: str) -> list[int]:
    return [int(i) for i in attributes[name]["list"]["i"]]


def _text(value: str) -> str:
    return base64.b64decode(value).decode()


def _fused(x: Tensor, values: Sequence[Tensor], attributes: Attributes) -> Tensor:
    """Add the bias and apply what was fused with it."""
    for value in attributes.get("fused_ops", {}).get("list", {}).get("s", []):
        name = _text(value)
        x = x + values[2] if name == "BiasAdd" else _ACTIVATIONS[name](x)
    return x


def _conv(values: Sequence[Tensor], attributes: Attributes, *, depthwise: bool = False) -> Tensor:
    x, kernel = values[0].permute(0, 3, 1, 2), values[1]
    kernel = kernel.permute(2, 3, 0, 1) if depthwise else kernel.permute(3, 2, 0, 1)
    stride = _ints(attributes, "strides")[1:3]
    if _text(attributes["padding"]["s"]) == "SAME":
        x = _same(x, kernel.shape[2:], stride)
    out = F.conv2d(x, kernel, stride=tuple(stride), groups=x.shape[1] if depthwise else 1)
    return _fused(out.permute(0, 2, 3, 1), values, attributes)


def _depthwise(values: Sequence[Tensor], attributes: Attributes) -> Tensor:
    return _conv(values, attributes, depthwise=True)


def _max_pool(values: Sequence[Tensor], attributes: Attributes) -> Tensor:
    size, stride = (_ints(attributes, name)[1:3] for name in ("ksize", "strides"))
    x = values[0].permute(0, 3, 1, 2)
    if _text(attributes["padding"]["s"]) == "SAME":
        x = _same(x, size, stride, float("-inf"))
    return F.max_pool2d(x, tuple(size), tuple(stride)).permute(0, 2, 3, 1)


def _avg_pool(values: Sequence[Tensor], attributes: Attributes) -> Tensor:
    size, stride = (_ints(attributes, name)[1:3] for name in ("ksize", "strides"))
    x = F.avg_pool2d(values[0].permute(0, 3, 1, 2), tuple(size), tuple(stride))
    return x.permute(0, 2, 3, 1)


def _reduced(how: Callable[..., Tensor]) -> Callable[[Sequence[Tensor], Attributes], Tensor]:
    def reduce(values: Sequence[Tensor], attributes: Attributes) -> Tensor:
        kept = bool(attributes.get("keep_dims", {}).get("b", False))
        dims = tuple(values[1].flatten().long().tolist())
        return how(values[0], dim=dims, keepdim=kept)

    return reduce


def _matmul(values: Sequence[Tensor], attributes: Attributes) -> Tensor:
    return _fused(values[0] @ values[1], values, attributes)


def _pad(values: Sequence[Tensor], attributes: Attributes) -> Tensor:
    del attributes
    return F.pad(values[0], values[1].long().flip(0).flatten().tolist())


def _reshape(values: Sequence[Tensor], attributes: Attributes) -> Tensor:
    del attributes
    return values[0].reshape(values[1].long().tolist())


def _expand(values: Sequence[Tensor], attributes: Attributes) -> Tensor:
    del attributes
    return values[0].unsqueeze(int(values[1]))


def _strided_slice(values: Sequence[Tensor], attributes: Attributes) -> Tensor:
    x, begin, end, step = (values[0], *(value.long().tolist() for value in values[1:]))
    masks = {name: int(attributes[f"{name}_mask"]["i"]) for name in ("begin", "end", "shrink_axis")}
    parts: list[slice | int] = []
    for i, (first, last, by) in enumerate(zip(begin, end, step, strict=True)):
        bit = {name: bool(mask >> i & 1) for name, mask in masks.items()}
        ends = slice(None if bit["begin"] else first, None if bit["end"] else last, by)
        parts.append(first if bit["shrink_axis"] else ends)
    return x[tuple(parts)]


def _of(function: Callable[..., Tensor]) -> Callable[[Sequence[Tensor], Attributes], Tensor]:
    def operation(values: Sequence[Tensor], attributes: Attributes) -> Tensor:
        del attributes
        return function(*values)

    return operation


def _softmax(x: Tensor) -> Tensor:
    return x.softmax(-1)


def _squeezed(x: Tensor) -> Tensor:
    return x.flatten(1)  # the batch stays, also when it is one picture


_OPERATIONS: dict[str, Callable[[Sequence[Tensor], Attributes], Tensor]] = {
    "Conv2D": _conv,
    "_FusedConv2D": _conv,
    "DepthwiseConv2dNative": _depthwise,
    "FusedDepthwiseConv2dNative": _depthwise,
    "MatMul": _matmul,
    "_FusedMatMul": _matmul,
    "MaxPool": _max_pool,
    "AvgPool": _avg_pool,
    "Max": _reduced(torch.amax),
    "Mean": _reduced(torch.mean),
    "Sum": _reduced(torch.sum),
    "Pad": _pad,
    "Reshape": _reshape,
    "ExpandDims": _expand,
    "StridedSlice": _strided_slice,
    "Add": _of(torch.add),
    "AddV2": _of(torch.add),
    "Sub": _of(torch.sub),
    "Mul": _of(torch.mul),
    "RealDiv": _of(torch.div),
    "Maximum": _of(torch.maximum),
    "Minimum": _of(torch.minimum),
    "Relu": _of(torch.relu),
    "Abs": _of(torch.abs),
    "Square": _of(torch.square),
    "Rsqrt": _of(torch.rsqrt),
    "Tanh": _of(torch.tanh),
    "Sigmoid": _of(torch.sigmoid),
    "Softmax": _of(_softmax),
    "Squeeze": _of(_squeezed),
    "Identity": _of(torch.clone),
}
