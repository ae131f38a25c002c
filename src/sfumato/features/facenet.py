"""Faces as features: found and aligned by dlib, embedded by its published network (extra `faces`).

The weights come with the package `face-recognition-models` (CC0). A backbone file holds their
digests alone, and a package with other weights is refused: two devices with one fingerprint compute
the same features.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from sfumato.counted import counted
from sfumato.data.decoding.decode import Box
from sfumato.data.faces import scored_faces
from sfumato.errors import DataError, ImageError
from sfumato.features.preprocess import Preprocess
from sfumato.nets.faceresnet import MEAN, SIDE, SPAN, read_dlib
from sfumato.wheelfiles import Wheel

ARCHITECTURE: Final = "dlib_face_recognition_resnet_model_v1"
PREPROCESS: Final = Preprocess(
    size=(SIDE, SIDE), mean=tuple(v / 255 for v in MEAN), std=(SPAN / 255,)
)

_WHEEL: Final = Wheel(
    package="face_recognition_models", release="face-recognition-models 0.3.0",
    needed_by="the backbone `face`", install="pip install 'sfumato[faces]'",
)  # fmt: skip
_NETWORK: Final = f"{ARCHITECTURE}.dat"
# Its five points are CC0; the file with 68 was trained on pictures that exclude commercial use.
_POINTS: Final = "shape_predictor_5_face_landmarks.dat"
DIGESTS: Final = {
    _NETWORK: "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30",
    _POINTS: "c4b1e9804792707d3a405c2c16a80a20269e6675021f64a41d30fffafbc41888",
}
"""SHA-256 of the two files of version 0.3.0, which is the last since 2017."""
_PADDING: Final = 0.25  # on every side, as the network was trained
_MOST: Final = 256  # faces of a picture: 2 seconds
_SURE: Final = 0.5  # above the scores of faces upside down; 3 in 100 upright ones lie below


class FaceNet(nn.Module):
    """Aligned faces to embeddings; `faces` finds and aligns those of a picture.

    Shapes: (n, 3, 150, 150), as `PREPROCESS` makes it, to (n, 128). What it saves is `digests`:
    the weights belong to the package.

    Raises:
        ArtifactError: the installed weights are not the published ones.
        UnavailableError: the extra `faces` is not installed.
    """

    digests: UInt8[Tensor, "2 32"]

    def __init__(self) -> None:
        super().__init__()
        self._look, self._look_for_large = scored_faces(small=True), scored_faces(small=False)
        folder = package_folder()
        net = read_dlib(_checked(folder / _NETWORK))
        self.net = _unsaved(net)
        self._points = _predictor(folder / _POINTS)
        self.register_buffer("digests", published())

    def faces(self, picture: UInt8[Tensor, "c h w"]) -> UInt8[Tensor, "k 3 side side"]:
        """Return every face of a grey or RGB picture, upright and of one size; there may be none.

        A face is found where it looks at the camera and is more or less upright. Where none is
        sure to be there, the picture is turned by quarters, and the surest face says which way is
        up: some cameras do not write down how they were held, and attackers turn pictures.

        Raises:
            DataError: the picture is neither grey nor RGB.
            ImageError: it has too many faces.
        """
        import dlib

        if len(picture) not in (1, 3):
            raise DataError(f"expected a grey or RGB picture, got {len(picture)} channels")
        rgb = picture.expand(3, -1, -1).cpu()
        quarters, found = self._found(rgb)
        if not found:
            return torch.empty(0, 3, SIDE, SIDE, dtype=torch.uint8)
        if len(found) > _MOST:
            raise ImageError(
                f"expected at most {counted(_MOST, 'face')} in a picture, found {len(found)}"
            )
        pixels = _pixels(rgb, quarters)
        return _chips(
            dlib.get_face_chip(pixels, self._points(pixels, _rectangle(box)), SIDE, _PADDING)
            for box in found
        )

    def middle(
        self, picture: UInt8[Tensor, "3 h w"], other: UInt8[Tensor, "3 h w"]
    ) -> UInt8[Tensor, "two 3 side side"] | None:
        """Return the face in the middle of a picture, upright, and the same place of another.

        None where no face is found there.
        """
        import dlib

        quarters, found = self._found(picture)
        pixels = _pixels(picture, quarters)
        middle = dlib.point(pixels.shape[1] // 2, pixels.shape[0] // 2)
        there = [box for box in map(_rectangle, found) if box.contains(middle)]
        if not there:
            return None
        shape = self._points(pixels, min(there, key=lambda box: box.area()))
        both = (pixels, _pixels(other, quarters))
        return _chips(dlib.get_face_chip(one, shape, SIDE, _PADDING) for one in both)

    def _found(self, rgb: UInt8[Tensor, "3 h w"]) -> tuple[int, list[Box]]:
        """Return by how many quarters a picture is turned to show its faces, and where they are."""
        best, scored = 0, self._look(rgb)
        if _surest(scored) < _SURE:
            for quarters in (1, 2, 3):
                turned = torch.rot90(rgb, quarters, (1, 2))
                other = self._look_for_large(turned)
                if _surest(other) > _surest(scored):
                    best, scored = quarters, other
        return best, [box for box, _ in scored]

    def forward(self, x: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n 128"]:
        """Return the embedding of each aligned face."""
        embedded: Tensor = self.net(x)
        return embedded


def _pixels(rgb: UInt8[Tensor, "3 h w"], quarters: int) -> UInt8[np.ndarray, "h2 w2 3"]:
    turned = torch.rot90(rgb, quarters, (1, 2)) if quarters else rgb
    return turned.permute(1, 2, 0).contiguous().numpy()


def _chips(cut: Iterable[UInt8[np.ndarray, "side side 3"]]) -> UInt8[Tensor, "k 3 side side"]:
    return torch.from_numpy(np.stack(list(cut))).permute(0, 3, 1, 2).contiguous()


def _surest(scored: Sequence[tuple[Box, float]]) -> float:
    return max((score for _, score in scored), default=0.0)


def published() -> UInt8[Tensor, "2 32"]:
    """Return the digests of the weights as a backbone file holds them."""
    content = b"".join(map(bytes.fromhex, DIGESTS.values()))
    return torch.frombuffer(bytearray(content), dtype=torch.uint8).view(len(DIGESTS), -1)


def package_folder() -> Path:
    """Return where the package keeps its weights.

    Raises:
        UnavailableError: it is not installed.
    """
    # Not imported: its code asks for `pkg_resources`, which setuptools has no longer.
    return _WHEEL.folder() / "models"


def _checked(path: Path) -> bytes:
    """Return a file of weights, which must be the published one."""
    return _WHEEL.checked(path, DIGESTS[path.name])


def _predictor(path: Path) -> Any:  # noqa: ANN401 - dlib has no types
    import dlib

    _checked(path)
    return dlib.shape_predictor(str(path))


def _rectangle(box: Box) -> Any:  # noqa: ANN401 - dlib has no types
    import dlib

    left, top, right, bottom = box
    return dlib.rectangle(left, top, right - 1, bottom - 1)


def _unsaved(net: nn.Module) -> nn.Module:
    """Return the network with weights that move with it and are not part of what it saves."""
    for part in net.modules():
        for name, value in list(part.named_parameters(recurse=False)):
            delattr(part, name)
            part.register_buffer(name, value.detach(), persistent=False)
    return net
