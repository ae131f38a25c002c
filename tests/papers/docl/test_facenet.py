"""The face network: its published accuracy, and refusal of damaged files."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from torch import Tensor

from papers.docl.facenet import FaceNet, face_crop, load_facenet
from sfumato.data.sets.lfw import lfw_pairs
from sfumato.data.sources import load
from sfumato.errors import ArtifactError
from sfumato.nets.faceresnet import DIM, SIDE

_FILES = ("face_recognition_model.bin", "face_recognition_model-weights_manifest.json")


@pytest.fixture(scope="module")
def net(real_models: Path) -> FaceNet:
    return load_facenet(real_models / "face-api")


def test_embeddings_have_their_length_and_a_gradient_in_the_image(net: FaceNet) -> None:
    x = (torch.rand(2, 3, SIDE, SIDE) * 255).requires_grad_()
    embedding = net(x)
    assert embedding.shape == (2, DIM)
    embedding.square().sum().backward()
    assert x.grad is not None
    assert float(x.grad.abs().max()) > 0


def test_damaged_weights_are_refused(real_models: Path, tmp_path: Path) -> None:
    for name in _FILES:
        shutil.copy(real_models / "face-api" / name, tmp_path)
    content = (tmp_path / _FILES[0]).read_bytes()
    for wrong, message in ((content[:-9], "ends inside fc"), (content + b"\0", "1 bytes more")):
        (tmp_path / _FILES[0]).write_bytes(wrong)
        with pytest.raises(ArtifactError, match=message):
            load_facenet(tmp_path)
    with pytest.raises(ArtifactError, match="expected face_recognition_model"):
        load_facenet(tmp_path / "missing")


@pytest.mark.slow
def test_the_first_fold_of_lfw_is_told_apart_as_published(net: FaceNet, real_data: Path) -> None:
    images = load("lfw", data_dir=real_data)
    pairs = lfw_pairs(real_data)
    place = {name: i for i, name in enumerate(images.files)}
    fold = [i for i, number in enumerate(pairs.fold) if number == 0]
    needed = sorted({place[side[i]] for side in (pairs.left, pairs.right) for i in fold})
    with torch.no_grad():
        parts = [net(face_crop(images.images[chunk])) for chunk in torch.tensor(needed).split(64)]
    embedding = dict(zip(needed, torch.cat(parts), strict=True))

    def distance(i: int) -> Tensor:
        return (embedding[place[pairs.left[i]]] - embedding[place[pairs.right[i]]]).norm()

    far = torch.stack([distance(i) for i in fold])
    same = torch.tensor([pairs.same[i] for i in fold])
    accuracy = max(float(((far < t) == same).float().mean()) for t in far)
    auc = float((far[same][:, None] < far[~same][None]).float().mean())
    assert accuracy > 0.97
    assert auc > 0.995
