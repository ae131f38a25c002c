from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from scipy.io import savemat
from torch import Tensor

from sfumato.errors import ArtifactError
from sfumato.nets import vggface
from sfumato.nets.vggface import VggFace, layer_names, load_vggface

_TABLE = (  # Parkhi et al. 2015, table 3: 13 convolutions and 3 dense layers
    *("conv1_1", "conv1_2", "conv2_1", "conv2_2", "conv3_1", "conv3_2", "conv3_3"),
    *("conv4_1", "conv4_2", "conv4_3", "conv5_1", "conv5_2", "conv5_3", "fc6", "fc7", "fc8"),
)


def small(monkeypatch: pytest.MonkeyPatch) -> dict[str, Tensor]:
    """Weights of a network with the same layers, 32 times narrower: 500 MB teach no more."""

    def narrow(weights: None, num_classes: int) -> torch.nn.Module:
        from torchvision.models import VGG

        layers: list[torch.nn.Module] = []
        before = 3
        for stage, width in zip((2, 2, 3, 3, 3), (2, 4, 8, 16, 16), strict=True):
            for _ in range(stage):
                layers += [torch.nn.Conv2d(before, width, 3, padding=1), torch.nn.ReLU()]
                before = width
            layers.append(torch.nn.MaxPool2d(2))
        net = VGG(torch.nn.Sequential(*layers), num_classes=num_classes, init_weights=False)
        net.classifier[0] = torch.nn.Linear(16 * 49, 32)
        net.classifier[3] = torch.nn.Linear(32, 32)
        net.classifier[6] = torch.nn.Linear(32, num_classes)
        return net

    monkeypatch.setattr(vggface, "vgg16", narrow)
    return dict(narrow(None, vggface.DIM).state_dict())


def named(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    back = {theirs: ours for ours, theirs in layer_names().items()}
    return {f"{back[k.rsplit('.', 1)[0]]}.{k.rsplit('.', 1)[1]}": v for k, v in weights.items()}


def test_it_has_the_sixteen_layers_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    weights = small(monkeypatch)
    assert tuple(layer_names()) == _TABLE
    assert {
        f"{name}.{part}" for name in layer_names().values() for part in ("weight", "bias")
    } == set(weights)
    with torch.no_grad():
        assert VggFace()(torch.rand(1, 1, 64, 64)).shape == (1, 2622)


@pytest.mark.slow
def test_every_published_layout_gives_the_same_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = small(monkeypatch)
    save_file(weights, tmp_path / "torchvision.safetensors")
    save_file(named(weights), tmp_path / "caffe.safetensors")
    turned = {
        k: v.permute(2, 3, 1, 0).contiguous()
        if v.ndim == 4
        else v.T.contiguous()
        if v.ndim == 2 and "fc6" not in k
        else v
        for k, v in named(weights).items()
    }
    np.savez(tmp_path / "turned.npz", **{k: v.numpy() for k, v in turned.items()})
    layers = []
    for name in _TABLE:
        kernel = named(weights)[f"{name}.weight"]
        if kernel.ndim == 2:
            side = 7 if name == "fc6" else 1
            kernel = kernel.reshape(len(kernel), -1, side, side)
        layers.append(
            {
                "name": name,
                "weights": np.array(
                    [kernel.permute(2, 3, 1, 0).numpy(), named(weights)[f"{name}.bias"].numpy()],
                    dtype=object,
                ),
            }
        )
    savemat(tmp_path / "authors.mat", {"layers": np.array(layers, dtype=object)})
    x = torch.rand(1, 3, 224, 224)
    files = ("torchvision.safetensors", "caffe.safetensors", "turned.npz", "authors.mat")
    first, *others = [load_vggface(tmp_path / file)(x) for file in files]
    for other in others:
        assert torch.allclose(first, other, atol=1e-5)


def test_a_pickle_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "vgg_face.pth"
    path.write_bytes(pickle.dumps(Exploding()))
    with pytest.raises(ArtifactError, match=r"safetensors, \.npz or \.mat"):
        load_vggface(path)
    assert not Exploding.ran


class Exploding:
    ran = False

    def __reduce__(self) -> tuple[object, ...]:
        return (setattr, (Exploding, "ran", True))


@pytest.mark.parametrize("suffix", [".safetensors", ".npz", ".mat"])
def test_rubbish_is_an_error_that_names_the_file(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"rubbish{suffix}"
    path.write_bytes(b"PK\x03\x04" + bytes(200))
    with pytest.raises(ArtifactError, match="rubbish"):
        load_vggface(path)


def test_an_npz_with_a_pickle_inside_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "objects.npz"
    np.savez(path, conv1_1=np.array([Exploding()], dtype=object))
    with pytest.raises(ArtifactError, match="objects"):
        load_vggface(path)
    assert not Exploding.ran


def test_another_network_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = small(monkeypatch)
    del weights["classifier.6.bias"]
    save_file(weights, tmp_path / "cut.safetensors")
    with pytest.raises(ArtifactError, match=r"classifier\.6\.bias"):
        load_vggface(tmp_path / "cut.safetensors")
