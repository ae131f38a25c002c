"""dlib's face network: the same numbers as dlib's own code, and damaged files are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from jaxtyping import Float
from torch import Tensor

from sfumato.errors import ArtifactError
from sfumato.features.facenet import package_folder
from sfumato.nets.faceresnet import DIM, MEAN, SIDE, SPAN, FaceResNet, read_dlib
from tests.drawn import drawn_face, needs_faces

pytestmark = needs_faces
NAME = "dlib_face_recognition_resnet_model_v1.dat"


@pytest.fixture(scope="module")
def path() -> Path:
    return package_folder() / NAME


@pytest.fixture(scope="module")
def net(path: Path) -> FaceResNet:
    return read_dlib(path.read_bytes()).eval()


def embedded(net: FaceResNet, faces: Tensor) -> Float[Tensor, "n 128"]:
    with torch.no_grad():
        return net((faces - torch.tensor(MEAN)[:, None, None]) / SPAN)


def test_it_gives_what_dlib_gives(net: FaceResNet, path: Path) -> None:
    dlib: Any = pytest.importorskip("dlib")
    theirs = dlib.face_recognition_model_v1(str(path))
    noise = torch.randint(0, 256, (3, SIDE, SIDE), generator=torch.Generator().manual_seed(0))
    faces = torch.stack([noise.to(torch.uint8), *(drawn_face(i, size=SIDE) for i in range(3))])
    pixels = faces.permute(0, 2, 3, 1).contiguous().numpy()
    expected = torch.tensor([list(theirs.compute_face_descriptor(p)) for p in pixels])
    torch.testing.assert_close(embedded(net, faces), expected, rtol=0, atol=1e-5)


def test_gradients_reach_the_picture(net: FaceResNet) -> None:
    x = torch.rand(2, 3, SIDE, SIDE).requires_grad_()
    found = net(x)
    assert found.shape == (2, DIM)
    found.square().sum().backward()
    assert x.grad is not None
    assert float(x.grad.abs().max()) > 0


@pytest.mark.parametrize("length", [0, 300, 400, 12_000_000, -200])
def test_a_file_that_ends_early_is_refused(path: Path, length: int) -> None:
    with pytest.raises(ArtifactError, match="expected dlib's face network, found no"):
        read_dlib(path.read_bytes()[:length])
