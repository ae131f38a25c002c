"""dlib's face network: 29 convolutions and 128 outputs (King 2017), and its published weights.

It was trained so that two pictures of one person lie closer than 0.6. dlib's own code runs it six
times slower than torch on a processor, holds Python's lock and has no gradients, so the numbers are
read out of its file: in dlib's format every tensor of numbers follows a header with its sizes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from sfumato.errors import ArtifactError

SIDE = 150
"""Height and width of the input."""
DIM = 128
"""Length of the embedding."""
MEAN = (122.782, 117.001, 104.298)
"""Of red, green and blue in [0, 255] on the training pictures; taken off before."""
SPAN = 256.0
"""Divides what is left."""

_STEM = (3, 32, 7)  # channels in and out, and the kernel's side
_BLOCKS = (
    *(((32, False),) * 3),
    *((64, True), (64, False), (64, False), (64, False)),
    *((128, True), (128, False), (128, False)),
    *((256, True), (256, False), (256, False), (256, True)),
)
"""Channels of each residual block, and whether it halves the picture."""


class Layer(NamedTuple):
    """A convolution with the scale of its outputs folded in."""

    kernel: Float[Tensor, "out into side side"]
    bias: Float[Tensor, " out"]


class _Conv(nn.Module):
    """A convolution; stride 2 goes with no padding."""

    def __init__(self, layer: Layer, *, stride: int = 1) -> None:
        super().__init__()
        self.kernel, self.bias = map(nn.Parameter, layer)
        self.stride, self.padding = stride, 0 if stride > 1 else layer.kernel.shape[-1] // 2

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c2 h2 w2"]:
        return F.conv2d(x, self.kernel, self.bias, self.stride, self.padding)


class _Residual(nn.Module):
    """Two convolutions and a shortcut; where it halves, the shortcut does so by average pooling."""

    def __init__(self, first: Layer, second: Layer, *, halves: bool) -> None:
        super().__init__()
        self.halves = halves
        self.conv1 = _Conv(first, stride=2 if halves else 1)
        self.conv2 = _Conv(second)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c2 h2 w2"]:
        out = self.conv2(self.conv1(x).relu())
        if self.halves:
            x = F.avg_pool2d(x, 2)
            # Without padding the branch may be a row and a column shorter than the shortcut, and
            # the shortcut has fewer channels: both are filled up with zeros, as in dlib.
            out = F.pad(out, (0, x.shape[3] - out.shape[3], 0, x.shape[2] - out.shape[2]))
            x = F.pad(x, (0, 0, 0, 0, 0, out.shape[1] - x.shape[1]))
        total: Tensor = out + x
        return total.relu()


class FaceResNet(nn.Module):
    """Aligned faces to embeddings, differentiable in the picture.

    Shapes: `(n, 3, 150, 150)`, RGB less `MEAN` and divided by `SPAN`, to `(n, 128)`.
    """

    def __init__(self, layers: Sequence[Layer], matrix: Float[Tensor, "into out"]) -> None:
        super().__init__()
        stem, *rest = layers
        self.stem = _Conv(stem, stride=2)
        pairs = zip(_BLOCKS, rest[::2], rest[1::2], strict=True)
        blocks = (_Residual(*pair, halves=halves) for (_, halves), *pair in pairs)
        self.blocks = nn.Sequential(*blocks)
        self.matrix = nn.Parameter(matrix)

    def forward(self, x: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n 128"]:
        """Return the embedding of each face."""
        x = F.max_pool2d(self.stem(x).relu(), 3, 2)
        maps: Tensor = self.blocks(x)
        return maps.mean((2, 3)) @ self.matrix


def read_dlib(content: bytes) -> FaceResNet:
    """Return the network of `dlib_face_recognition_resnet_model_v1.dat`.

    Raises:
        ArtifactError: the bytes are not that file's.
    """
    found = _Numbers(content)
    layers = [found.layer(*shape) for shape in _shapes()]
    width = layers[-1].bias.shape[0]
    matrix = found.next(width * DIM, (width, DIM, 1, 1)).view(width, DIM)
    return FaceResNet(layers, matrix)


def _shapes() -> list[tuple[int, int, int]]:
    """Return channels in and out and the kernel's side of every convolution, in order."""
    shapes, channels = [_STEM], _STEM[1]
    for width, _ in _BLOCKS:
        shapes += [(channels, width, 3), (width, width, 3)]
        channels = width
    return shapes


class _Numbers:
    """The tensors of dlib's file one after the other."""

    def __init__(self, content: bytes) -> None:
        self._content, self._at = content, 0

    def layer(self, into: int, out: int, side: int) -> Layer:
        """Return the next convolution, with the scale and the shift that follow it."""
        size = out * into * side * side
        kernel, bias = self.next(size + out).split([size, out])
        scale, shift = self.next(2 * out).split(out)
        kernel = kernel.view(out, into, side, side) * scale.view(-1, 1, 1, 1)
        return Layer(kernel.contiguous(), bias * scale + shift)

    def next(self, count: int, sizes: tuple[int, ...] = ()) -> Float[Tensor, " count"]:
        """Return the next `count` numbers that have a header: little-endian float32."""
        header = b"".join(map(_integer, (2, *(sizes or (count, 1, 1, 1)))))  # 2 is the version
        start = self._content.find(header, self._at) + len(header)
        end = start + 4 * count
        if start < len(header) or end > len(self._content):
            raise ArtifactError(
                f"expected dlib's face network, found no {count:,} numbers after byte {self._at:,}"
            )
        self._at = end
        return torch.frombuffer(bytearray(self._content[start:end]), dtype=torch.float32)


def _integer(value: int) -> bytes:
    """Return a positive integer as dlib writes it: the number of its bytes, then the bytes."""
    size = (value.bit_length() + 7) // 8
    return bytes([size]) + value.to_bytes(size, "little")
