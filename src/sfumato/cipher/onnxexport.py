"""ShuffleBits inside an ONNX file, where bits are reinterpreted with `BitCast` (opset 26).

Neither torch's exporter nor onnx's version converter (2.15 and 1.23) knows `BitCast`. The graph
is therefore exported with a placeholder of ours that both leave alone, brought to opset 26, and
only then given the standard operator's name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Int, Shaped
from torch import Tensor, nn
from torch.onnx.ops import symbolic

from sfumato.cipher.permutation import distances
from sfumato.errors import UnavailableError
from sfumato.files import replacing

_Shapes = tuple[Mapping[int, Any] | None, ...] | None  # as torch.export.export takes them

_DOMAIN = "sfumato.placeholder"
_OPSET = 26  # the first with BitCast
_BASE_OPSET = 18  # of the bitwise operators
_INT8, _INT16, _INT32, _INT64 = 3, 5, 6, 7  # onnx.TensorProto.DataType
_UINT8, _UINT16, _UINT32, _UINT64 = 2, 4, 12, 13
_UNSIGNED = {
    8: (torch.uint8, _UINT8),
    16: (torch.uint16, _UINT16),
    32: (torch.uint32, _UINT32),
    64: (torch.uint64, _UINT64),
}
_SIGNED = {
    8: (torch.int8, _INT8),
    16: (torch.int16, _INT16),
    32: (torch.int32, _INT32),
    64: (torch.int64, _INT64),
}


def export_onnx(
    net: nn.Module, example: Sequence[Tensor], path: Path, *, dynamic_shapes: _Shapes = None
) -> None:
    """Write `net`, which ends in ShuffleBits, to one ONNX file of opset 26, with mode 0600.

    The file carries the key, as the network does, unless the net passes ShuffleBits its masks
    as an input (`ShuffleBits.forward`): export it so to change the key in each request.

    Raises:
        UnavailableError: onnx is not installed.
        InputError: `path` cannot be written.
    """
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise UnavailableError("no ONNX here; pip install 'sfumato[onnx]'") from error
    program = torch.onnx.export(
        net.eval(),
        tuple(example),
        dynamo=True,
        opset_version=_OPSET,
        dynamic_shapes=dynamic_shapes,
        verbose=False,
    )
    if program is None:  # what torch's older exporter returns
        raise UnavailableError("torch wrote no ONNX program; use torch 2.8 or later")
    model = program.model
    for node in model.graph:
        if node.domain == _DOMAIN:
            node.domain = ""
    model.opset_imports.pop(_DOMAIN, None)
    with replacing(Path(path), mode=0o600) as part:
        program.save(str(part))


def shuffle_in_graph(
    x: Shaped[Tensor, "*shape"], masks: Int[Tensor, "stages"], width: int
) -> Int[Tensor, "*shape"]:
    """Emit the delta swaps as ONNX operators; what runs under the exporter alone.

    BitShift takes unsigned words only, and runtimes have it for 32 and 64 bits, so that narrower
    words are widened without a sign for the stages.
    """
    words = _widened(x, width)
    stages = _widened(masks, width)
    for stage, distance in enumerate(distances(width)):
        by = torch.tensor(distance, dtype=words.dtype)
        shifted = _bits("BitShift", words, by, direction="RIGHT")
        moved = _bits("BitwiseAnd", _bits("BitwiseXor", shifted, words), stages[stage])
        back = _bits("BitShift", moved, by, direction="LEFT")
        words = _bits("BitwiseXor", _bits("BitwiseXor", words, moved), back)
    return _reinterpreted(_cast(words, *_UNSIGNED[width]), *_SIGNED[width])


def _widened(x: Shaped[Tensor, "*shape"], width: int) -> Shaped[Tensor, "*shape"]:
    return _cast(_reinterpreted(x, *_UNSIGNED[width]), *_UNSIGNED[max(width, 32)])


def _reinterpreted(
    x: Shaped[Tensor, "*shape"], dtype: torch.dtype, code: int
) -> Shaped[Tensor, "*shape"]:
    return _emit(f"{_DOMAIN}::BitCast", (x,), dtype, {"to": code}, version=1)


def _cast(x: Shaped[Tensor, "*shape"], dtype: torch.dtype, code: int) -> Shaped[Tensor, "*shape"]:
    return x if x.dtype == dtype else _emit("Cast", (x,), dtype, {"to": code})


def _bits(
    operator: str, x: Shaped[Tensor, "*shape"], y: Shaped[Tensor, "..."], **attributes: str
) -> Shaped[Tensor, "*shape"]:
    return _emit(operator, (x, y), x.dtype, attributes)


def _emit(
    operator: str,
    inputs: tuple[Tensor, ...],
    dtype: torch.dtype,
    attributes: Mapping[str, int | str],
    *,
    version: int = _BASE_OPSET,
) -> Tensor:
    return symbolic(
        operator,
        inputs,
        dict(attributes),
        dtype=dtype,
        shape=inputs[0].shape,
        version=version,
    )
