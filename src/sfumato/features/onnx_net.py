"""Any ONNX file as a feature extractor, run by onnxruntime (extra `onnx`)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from sfumato.errors import ArtifactError
from sfumato.extras import needs

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto
    from onnxruntime import InferenceSession

_LIMIT_BYTES = 2 << 30  # protobuf's own
_RANK = 4  # images are n c h w, or n h w c
_CHANNELS = (1, 3)

Shape = tuple[int | None, int | None, int | None, int | None]


class OnnxNet(nn.Module):
    """An ONNX graph that maps pictures in float32 to its first output, flattened to (n, d).

    `shape` is its input's, (n, c, h, w) or (n, h, w, c), with None where a length is not fixed.
    `graph` holds the whole file as uint8, so that it is saved and fingerprinted as any weight is.
    Nothing is differentiated through it. A graph with a fixed batch size runs in padded batches.

    Raises:
        ArtifactError: the bytes are no such graph, or keep weights in another file.
        UnavailableError: onnxruntime is not installed.
    """

    graph: Tensor

    def __init__(self, graph: UInt8[Tensor, "bytes"]) -> None:
        super().__init__()
        _need_extra()
        self.register_buffer("graph", graph)
        content = graph.numpy().tobytes()
        _refuse_external_weights(_parse(content))
        self._session = _session(content)
        self.shape = _input_shape(self._session)
        self.batch = self.shape[0]

    def settings(self, layout: str | None = None) -> dict[str, Any]:
        """Return what the graph fixes of `Preprocess`: layout, and channels and size if it does.

        Channels come last where only the last of the three has a length that they may have.
        """
        _, first, second, last = self.shape
        if layout is None:
            layout = "nhwc" if last in _CHANNELS and first not in _CHANNELS else "nchw"
        channels, height, width = (
            (first, second, last) if layout == "nchw" else (last, first, second)
        )
        found: dict[str, Any] = {"layout": layout}
        if channels is not None:
            found["channels"] = channels
        if height is not None and width is not None:
            found["size"] = (height, width)
        return found

    def forward(self, x: Float[Tensor, "n _ _ _"]) -> Float[Tensor, "n d"]:
        """Run the graph on the CPU and return its output on the device of `x`."""
        rows = x.detach().cpu().numpy()
        size = self.batch or max(1, len(rows))
        parts = [self._run(rows[i : i + size], size) for i in range(0, max(1, len(rows)), size)]
        return torch.from_numpy(np.concatenate(parts)).to(x.device)

    def _run(self, rows: npt.NDArray[np.float32], size: int) -> npt.NDArray[np.float32]:
        count = len(rows)
        if self.batch and count < size:
            rows = np.concatenate([rows, np.zeros((size - count, *rows.shape[1:]), rows.dtype)])
        name = self._session.get_inputs()[0].name
        try:
            output = np.asarray(self._session.run(None, {name: rows})[0])
        except Exception as error:  # onnxruntime's exceptions share no base of their own
            raise ArtifactError(f"the ONNX graph fails on {rows.shape}: {error}") from error
        rowwise = output.ndim > 0 and len(output) == len(rows) and 0 not in output.shape[1:]
        if not rowwise or output.dtype.kind != "f":
            raise ArtifactError(
                f"expected an ONNX graph with one row of floats an image as first output, "
                f"got {output.dtype} {output.shape} for {len(rows)} images"
            )
        return output.reshape(len(output), -1)[:count].astype(np.float32)


def read_onnx(path: Path) -> OnnxNet:
    """Read an ONNX file, and the files beside it in which it may keep large weights.

    Raises:
        ArtifactError: the file is missing, too large or no graph of images to features.
        UnavailableError: onnxruntime is not installed.
    """
    _need_extra()
    import onnx

    try:
        if path.exists() and not path.is_file():  # a device may have no end
            raise ArtifactError(f"cannot read the ONNX file {path}: it is no file")
        if path.stat().st_size > _LIMIT_BYTES:
            raise ArtifactError(f"{path}: expected at most {_LIMIT_BYTES:,} bytes")
        content = onnx.load(path).SerializeToString()
    except ArtifactError:
        raise
    except Exception as error:  # protobuf, onnx.checker and the file system each raise their own
        raise ArtifactError(f"cannot read the ONNX file {path}: {error}") from error
    if not content:
        raise ArtifactError(f"{path}: expected an ONNX graph, got an empty file")
    return OnnxNet(torch.frombuffer(bytearray(content), dtype=torch.uint8))


def _need_extra() -> None:
    needs("onnx", "ONNX", "onnx", "onnxruntime")


def _parse(content: bytes) -> ModelProto:
    import onnx

    try:
        model = onnx.load_model_from_string(content)
        onnx.checker.check_model(model)
    except Exception as error:
        raise ArtifactError(f"expected an ONNX graph: {error}") from error
    return model


def _refuse_external_weights(model: ModelProto) -> None:
    # Bytes from elsewhere must not name files of this machine.
    import onnx

    def tensors(graph: GraphProto) -> Iterator[Any]:
        yield from graph.initializer
        for sparse in graph.sparse_initializer:
            yield from (sparse.values, sparse.indices)
        for node in graph.node:
            yield from attributes(node)

    def attributes(node: NodeProto) -> Iterator[Any]:
        for attribute in node.attribute:
            yield from (attribute.t, *attribute.tensors)
            for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
                yield from (sparse.values, sparse.indices)
            for graph in (attribute.g, *attribute.graphs):
                yield from tensors(graph)

    inside = [t for function in model.functions for n in function.node for t in attributes(n)]
    for tensor in (*tensors(model.graph), *inside):
        if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
            raise ArtifactError("expected an ONNX graph with its weights inside, not in files")


def _session(content: bytes) -> InferenceSession:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise ArtifactError(f"onnxruntime refuses this graph: {error}") from error


def _input_shape(session: InferenceSession) -> Shape:
    inputs = session.get_inputs()
    if len(inputs) != 1 or inputs[0].type != "tensor(float)" or len(inputs[0].shape) != _RANK:
        found = ", ".join(f"{i.name} {i.type} {i.shape}" for i in inputs)
        raise ArtifactError(
            f"expected an ONNX graph with one input, float32 n c h w or n h w c; got {found}"
        )
    batch, first, second, last = (s if isinstance(s, int) else None for s in inputs[0].shape)
    return batch, first, second, last
