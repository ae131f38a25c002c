"""Published gender classifiers and face matchers, for the evaluation only.

None of them takes part in training but `Matcher`, and that is the one to distrust: it is a
quantised copy of dlib's network, so `dlib_matcher` is no independent witness of it. `faceres`,
another network, taught by other people on other faces, is one; it tells gender as well.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from papers.docl.facenet import load_facenet
from papers.san.graph import load_graph
from papers.san.xception import load_gender
from sfumato.data.pixels import as_uint8
from sfumato.features.facenet import ARCHITECTURE, package_folder
from sfumato.nets.faceresnet import MEAN, SIDE

Scores = Callable[[Tensor], Tensor]
"""Images in [0, 1] of the tight LFW box to one score (male) or one embedding each."""

_BATCH = 64
_MEAN = torch.tensor(MEAN).view(3, 1, 1)
_BLUE_GREEN_RED = torch.tensor([103.939, 116.779, 123.68]).view(3, 1, 1)
_FACERES_SIDE, _FACERES_BATCH = 224, 16
_TIGHT = 115  # pixels of the tight box in the 160 crop
_DLIB_EDGE = 5 / _TIGHT  # the dlib classifier's box starts 5 pixels inside the tight one


class Matcher(nn.Module):
    """The 128-D network behind images in [0, 1] of any size, grey or RGB."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.net = load_facenet(folder).to(memory_format=torch.channels_last)

    def forward(self, images: Tensor) -> Tensor:
        """Return embeddings `(n, 128)`."""
        wide = _resized(images, SIDE) * 255
        embeddings: Tensor = self.net(wide.contiguous(memory_format=torch.channels_last))
        return embeddings


def face_api_gender(folder: Path) -> Scores:
    """Return the small Xception of face-api as a score for male."""
    net = load_gender(folder)

    def scores(images: Tensor) -> Tensor:
        x = (_resized(images, 112) * 255 - _MEAN) / 255
        logits: Tensor = net(x)
        return logits[:, 0]

    return _batched(scores)


def dlib_gender(folder: Path) -> Scores:
    """Return dlib's gender classifier, run by onnxruntime, as a score for male."""
    import onnx
    import onnxruntime

    model = onnx.load(folder / "gender-v1.onnx")
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    (entry,) = session.get_inputs()

    def scores(images: Tensor) -> Tensor:
        side = images.shape[-1]
        edge = round(_DLIB_EDGE * side)
        crop = images[:, :, edge : side - edge, edge : side - edge]
        x = (_resized(crop, 32) * 255 - _MEAN) / 256
        rows = [session.run(None, {entry.name: row.numpy()})[0] for row in x.split(1)]
        return torch.cat([torch.from_numpy(row).reshape(1, -1) for row in rows])[:, 1]

    return _batched(scores)


def has_dlib() -> bool:
    """Say whether dlib-bin and face-recognition-models are installed (evaluation only)."""
    return all(find_spec(name) for name in ("_dlib_pybind11", "face_recognition_models"))


def dlib_matcher() -> Scores:
    """Return dlib's face network from the packages dlib-bin and face-recognition-models."""
    import _dlib_pybind11 as dlib

    weights = package_folder() / f"{ARCHITECTURE}.dat"
    net = dlib.face_recognition_model_v1(str(weights))

    def scores(images: Tensor) -> Tensor:
        wide = as_uint8(_resized(images, SIDE))
        chips = list(wide.permute(0, 2, 3, 1).contiguous().numpy())
        return torch.tensor([list(v) for v in net.compute_face_descriptor(chips)])

    return _batched(scores)


def has_faceres(models: Path) -> bool:
    """Say whether the files of faceres (npm package @vladmandic/human) are in `models/human`."""
    return all((models / "human" / f"faceres.{end}").is_file() for end in ("json", "bin"))


def faceres_gender(folder: Path) -> Scores:
    """Return the gender output of faceres, a MobileNet, as a score for male."""
    return _faceres(folder, "gender_pred/BiasAdd")


def faceres_matcher(folder: Path) -> Scores:
    """Return the 1024-D face descriptor of faceres, of length 1."""
    vectors = _faceres(folder, "global_pooling/Mean")
    return lambda images: F.normalize(vectors(images))


def _faceres(folder: Path, output: str) -> Scores:
    net = load_graph(folder, "faceres")

    def values(images: Tensor) -> Tensor:
        x = _resized(images, _FACERES_SIDE).flip(1) * 255 - _BLUE_GREEN_RED
        out: Tensor = net(x.permute(0, 2, 3, 1), output)
        return out[:, 0] if out.shape[1] == 1 else out

    return _batched(values, _FACERES_BATCH)


def _resized(images: Tensor, side: int) -> Tensor:
    wide = F.interpolate(images, (side, side), mode="bilinear", antialias=True)
    return wide.expand(-1, 3, -1, -1)


def _batched(scores: Scores, size: int = _BATCH) -> Scores:
    @torch.no_grad()
    def all_of(images: Tensor) -> Tensor:
        return torch.cat([scores(batch) for batch in images.split(size)])

    return all_of
