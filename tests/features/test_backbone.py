"""Backbones: frozen, fingerprinted, refused without a scaler, and read with suspicion."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from sfumato.data.imageset import ImageSet
from sfumato.errors import ArtifactError, ConfigError, DataError, UnavailableError
from sfumato.features.backbone import Backbone, open_backbone
from sfumato.features.policy import LEAST_COHORT, Policy
from sfumato.features.preprocess import Preprocess
from sfumato.files import pack_tensors, unpack_tensors

GREY8 = Preprocess(size=(8, 8), channels=1)


def small_net(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(1, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.Flatten())


def wrapped(blobs: ImageSet, **extra: int) -> Backbone:
    return Backbone.wrap(small_net(), name="small", preprocess=GREY8).fit(blobs, **extra)


def test_without_public_images_there_are_no_features(blobs: ImageSet) -> None:
    backbone = Backbone.wrap(small_net(), name="small", preprocess=GREY8)
    with pytest.raises(ConfigError, match="fit it on public images"):
        backbone(blobs.images)
    assert backbone.unscaled(blobs.images).shape == (200, backbone.dim)


@pytest.mark.parametrize("dims", [None, 5])
def test_features_are_in_the_unit_interval_and_survive_the_file(
    blobs: ImageSet, tmp_path: Path, dims: int | None
) -> None:
    backbone = wrapped(blobs) if dims is None else wrapped(blobs, dims=dims)
    features = backbone(blobs.images)
    assert features.shape == (200, backbone.dim)
    assert dims is None or backbone.dim == dims
    assert 0 <= float(features.min()) < 0.1 < 0.9 < float(features.max()) <= 1
    backbone.save(tmp_path / "b.backbone")
    again = Backbone.load(tmp_path / "b.backbone", net=small_net(1))
    assert again.fingerprint == backbone.fingerprint
    assert torch.equal(again(blobs.images), features)


def test_a_backbone_is_frozen(blobs: ImageSet) -> None:
    net = small_net()
    backbone = Backbone.wrap(net, name="small", preprocess=GREY8).fit(blobs)
    expected = backbone(blobs.images)
    backbone.train()
    net.requires_grad_(True)
    with torch.no_grad():
        net[0].weight.add_(1)
    assert torch.equal(backbone(blobs.images), expected)
    assert not any(p.requires_grad for p in backbone.parameters())


def test_gradients_reach_float_pictures(blobs: ImageSet) -> None:
    x = blobs.floats()[:3].requires_grad_(True)
    wrapped(blobs)(x).sum().backward()
    assert x.grad is not None
    assert float(x.grad.abs().sum()) > 0


CHANGES: dict[str, Callable[[ImageSet], Backbone]] = {
    "weights": lambda s: Backbone.wrap(small_net(1), name="small", preprocess=GREY8).fit(s),
    "name": lambda s: Backbone.wrap(small_net(), name="other", preprocess=GREY8).fit(s),
    "preprocess": lambda s: Backbone.wrap(
        small_net(), name="small", preprocess=Preprocess(size=(8, 8), channels=1, mean=(0.1,))
    ).fit(s),
    "scaler": lambda s: Backbone.wrap(small_net(), name="small", preprocess=GREY8).fit(
        s.subset(range(50))
    ),
    "no scaler": lambda s: Backbone.wrap(small_net(), name="small", preprocess=GREY8),
    "projection": lambda s: wrapped(s, dims=4),
}


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_changes_the_features_changes_the_fingerprint(
    blobs: ImageSet, change: str
) -> None:
    assert wrapped(blobs).fingerprint == wrapped(blobs).fingerprint
    assert CHANGES[change](blobs).fingerprint != wrapped(blobs).fingerprint


def test_raw_pixels_need_no_scaler(blobs: ImageSet) -> None:
    named, taken = open_backbone("raw:1x8x8"), open_backbone("raw", public=blobs)
    assert named.fingerprint == taken.fingerprint
    assert torch.equal(named(blobs.images), blobs.images.flatten(1) / 255)
    assert Backbone.from_bytes(named.to_bytes()).fingerprint == named.fingerprint
    assert named(torch.zeros(2, 3, 30, 20, dtype=torch.uint8)).shape == (2, 64)
    fewer = open_backbone("raw", public=blobs, dims=3)
    assert fewer(blobs.images).shape == (200, 3)
    assert float(fewer(blobs.images).max()) == 1


@pytest.fixture(scope="module")
def resnet_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "resnet18.safetensors"
    save_file(timm.create_model("resnet18", pretrained=False).state_dict(), path)
    return path


def test_a_timm_model_with_a_weights_file(
    blobs: ImageSet, resnet_weights: Path, tmp_path: Path
) -> None:
    public = blobs.subset(range(3))
    backbone = open_backbone("timm:resnet18", weights=resnet_weights, public=public)
    torch.manual_seed(0)
    reference = timm.create_model("resnet18", pretrained=False).eval()
    x = backbone.preprocess(public.images[:2])
    assert x.shape == (2, 3, 224, 224)
    expected = reference.forward_head(reference.forward_features(x), pre_logits=True)
    torch.testing.assert_close(backbone.unscaled(public.images[:2]), expected)
    backbone.save(tmp_path / "r.backbone")
    again = open_backbone(str(tmp_path / "r.backbone"))
    assert (again.fingerprint, again.dim) == (backbone.fingerprint, 512)
    assert torch.equal(again(public.images[:2]), backbone(public.images[:2]))
    with pytest.raises(ConfigError, match="public scaler already"):
        open_backbone(str(tmp_path / "r.backbone"), public=public)


def test_weights_of_another_model_are_refused(resnet_weights: Path) -> None:
    with pytest.raises(ArtifactError, match="that model's own file"):
        open_backbone("timm:resnet26", weights=resnet_weights)


def test_pickled_weights_are_refused(tmp_path: Path) -> None:
    torch.save({"fc": torch.zeros(2)}, tmp_path / "w.pth")
    with pytest.raises(ArtifactError, match="safetensors"):
        open_backbone("timm:resnet18", weights=tmp_path / "w.pth")


def test_without_a_network_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", "/nonexistent")
    with pytest.raises(UnavailableError, match="give a local file instead"):
        open_backbone("timm:resnet10t")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("raw", "raw:1x28x28"),
        ("raw:2x8x8", "raw:1x28x28"),
        ("timm:resnet9000", "no model 'resnet9000'"),
        ("no/such/file", "expected raw, gradients, face, timm:NAME"),
    ],
)
def test_unusable_specs_are_refused(spec: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        open_backbone(spec)


def test_settings_that_exclude_each_other_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="timm:NAME"):
        open_backbone("raw:1x8x8", weights=tmp_path / "w")
    with pytest.raises(ConfigError, match="public images"):
        open_backbone("raw:1x8x8", dims=3)
    with pytest.raises(ConfigError, match="`mean` belongs to a timm:NAME or onnx:PATH backbone"):
        open_backbone("raw:1x8x8", preprocess={"mean": (0.5,)})
    with pytest.raises(ConfigError, match="`preprocess` has no setting 'means'"):
        open_backbone("timm:resnet18", preprocess={"means": (0.5,)})
    with pytest.raises(ConfigError, match="timm models take `layout` nchw"):
        open_backbone("timm:resnet18", preprocess={"layout": "nhwc"})


def test_what_is_given_goes_before_what_a_timm_model_says_and_is_part_of_it(
    blobs: ImageSet, resnet_weights: Path
) -> None:
    public = blobs.subset(range(3))
    given = {"size": (32, 32), "fit": "squash", "order": "bgr", "std": (1 / 255,)}
    found = open_backbone("timm:resnet18", weights=resnet_weights, preprocess=given)
    own = open_backbone("timm:resnet18", weights=resnet_weights).preprocess
    changed = found.preprocess.document()
    assert {name for name, value in own.document().items() if changed[name] != value} == {*given}
    assert changed["std"] == (1 / 255,)
    fitted = [
        open_backbone("timm:resnet18", weights=resnet_weights, preprocess=some, public=public)
        for some in (given, given | {"order": "rgb"})
    ]
    assert len({one.fingerprint for one in fitted}) == 2
    assert Backbone.from_bytes(fitted[0].to_bytes()).preprocess == found.preprocess


def test_a_net_without_rows_of_features_is_refused() -> None:
    class Total(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.sum()

    with pytest.raises(ConfigError, match="a row of features a picture"):
        Backbone.wrap(Total(), name="total", preprocess=GREY8)


def test_a_feature_that_is_not_finite_never_leaves(blobs: ImageSet) -> None:
    class Fragile(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return (x / x.amax((1, 2, 3), keepdim=True)).flatten(1)

    backbone = Backbone.wrap(Fragile(), name="fragile", preprocess=GREY8).fit(blobs)
    with pytest.raises(DataError, match="not finite"):
        backbone(torch.zeros(1, 1, 8, 8))


def test_a_wrapped_net_needs_its_code_and_only_it(blobs: ImageSet) -> None:
    content = wrapped(blobs).to_bytes()
    with pytest.raises(ConfigError, match="net="):
        Backbone.from_bytes(content)
    with pytest.raises(ConfigError, match="brings its own"):
        Backbone.from_bytes(open_backbone("raw:1x8x8").to_bytes(), net=small_net())
    with pytest.raises(ArtifactError, match="not this network's"):
        Backbone.from_bytes(content, net=nn.Sequential(nn.Flatten(), nn.Linear(64, 3)))


Parts = tuple[dict[str, Tensor], dict[str, str]]


def _config(parts: Parts, **change: object) -> Parts:
    tensors, header = parts
    return tensors, header | {"config": json.dumps(json.loads(header["config"]) | change)}


COHORT = torch.full((LEAST_COHORT, 64), 0.5)
POLICY = '{"dimension": 4.5, "false_blocks": 0.01, "contested": 0.9}'


def _policy(parts: Parts, cohort: Tensor, document: str = POLICY) -> Parts:
    return {**parts[0], "policy.cohort": cohort}, {**parts[1], "policy": document}


HOSTILE: dict[str, Callable[[Parts], Parts]] = {
    "future version": lambda p: (p[0], p[1] | {"sfumato.backbone": "2"}),
    "no metadata": lambda p: (p[0], {}),
    "config is no JSON": lambda p: (p[0], p[1] | {"config": "{"}),
    "config is a list": lambda p: (p[0], p[1] | {"config": "[]"}),
    "config nests deeply": lambda p: (p[0], p[1] | {"config": "[" * 100_000}),
    "unknown kind": lambda p: _config(p, kind="pickle"),
    "kind is a list": lambda p: _config(p, kind=["raw"]),
    "endless name": lambda p: _config(p, name="x" * 10_000),
    "wrong preprocessing": lambda p: _config(p, preprocess={"size": [1, 1e9]}),
    "other size": lambda p: _config(p, preprocess=Preprocess(size=(9, 8), channels=1).document()),
    "raw with weights": lambda p: ({**p[0], "net.x": torch.zeros(3)}, p[1]),
    "a giant's name": lambda p: _config(p, kind="timm", architecture="vit_giant_patch14_224"),
    "no such timm model": lambda p: _config(p, kind="timm", architecture="../../etc/passwd"),
    "onnx without graph": lambda p: _config(p, kind="onnx"),
    "stray tensor": lambda p: ({**p[0], "evil": torch.zeros(3)}, p[1]),
    "half a scaler": lambda p: ({"scaler.low": p[0]["scaler.low"]}, p[1]),
    "empty range": lambda p: ({**p[0], "scaler.high": p[0]["scaler.low"]}, p[1]),
    "scaler with NaN": lambda p: ({**p[0], "scaler.low": torch.full((64,), float("nan"))}, p[1]),
    "scaler of another dim": lambda p: ({**p[0], "scaler.low": torch.zeros(63)}, p[1]),
    "scaler of integers": lambda p: ({**p[0], "scaler.low": torch.zeros(64).long()}, p[1]),
    "a scalar projection": lambda p: (
        {**p[0], "projection.mean": torch.zeros(()), "projection.components": torch.zeros(())},
        p[1],
    ),
    "a policy without cohort": lambda p: (p[0], {**p[1], "policy": POLICY}),
    "a cohort without policy": lambda p: ({**p[0], "policy.cohort": COHORT}, p[1]),
    "a cohort of another dim": lambda p: _policy(p, COHORT[:, :63]),
    "a cohort with NaN": lambda p: _policy(p, COHORT * torch.nan),
    "a cohort beyond 1": lambda p: _policy(p, COHORT + 0.6),
    "a cohort of doubles": lambda p: _policy(p, COHORT.double()),
    "a cohort of one vector": lambda p: _policy(p, COHORT[0]),
    "a small cohort": lambda p: _policy(p, COHORT[1:]),
    "a policy's other tensor": lambda p: (
        {**_policy(p, COHORT)[0], "policy.evil": COHORT},
        _policy(p, COHORT)[1],
    ),
    "a policy that is no JSON": lambda p: _policy(p, COHORT, "{"),
    "a policy that is no object": lambda p: _policy(p, COHORT, "[1, 2]"),
    "a policy with NaN": lambda p: _policy(p, COHORT, POLICY.replace("4.5", "NaN")),
    "a policy without dimension": lambda p: _policy(p, COHORT, POLICY.replace("4.5", "0")),
    "a policy of one more number": lambda p: _policy(p, COHORT, POLICY.replace("}", ', "x": 1}')),
}


@pytest.mark.parametrize("fault", HOSTILE)
def test_hostile_files_are_refused(fault: str, tmp_path: Path) -> None:
    content = open_backbone("raw:1x8x8").to_bytes()
    parts = unpack_tensors(content, limit_bytes=1 << 20)
    tensors, header = HOSTILE[fault](parts)
    changed = pack_tensors({k: v.clone() for k, v in tensors.items()}, header)
    with pytest.raises(ArtifactError):
        Backbone.from_bytes(changed)
    (tmp_path / "x.backbone").write_bytes(changed)
    with pytest.raises(ArtifactError, match=r"x\.backbone"):
        Backbone.load(tmp_path / "x.backbone")


def test_a_policy_goes_with_the_file_and_not_with_the_fingerprint(tmp_path: Path) -> None:
    bare = open_backbone("raw:1x8x8")
    parts = unpack_tensors(bare.to_bytes(), limit_bytes=1 << 20)
    read = Backbone.from_bytes(pack_tensors(*_policy(parts, COHORT)))
    assert read.policy is not None
    assert read.policy.document() == json.loads(POLICY)
    assert torch.equal(read.policy.cohort, COHORT)
    assert read.fingerprint == bare.fingerprint
    assert "policy" not in "".join(read.state_dict())
    read.save(tmp_path / "b.backbone")
    again = Backbone.load(tmp_path / "b.backbone").policy
    assert again is not None
    assert again.digest == read.policy.digest
    assert read.with_policy(None).to_bytes() == bare.to_bytes()


def test_a_policy_belongs_to_its_network_and_scaler(blobs: ImageSet) -> None:
    backbone = wrapped(blobs)
    policy = Policy(
        cohort=torch.rand(LEAST_COHORT, backbone.dim),
        dimension=4.5,
        false_blocks=0.01,
        contested=0.9,
    )
    calibrated = backbone.with_policy(policy)
    assert backbone.policy is None
    assert calibrated.policy is policy
    assert calibrated.net is backbone.net
    assert torch.equal(calibrated(blobs.images), backbone(blobs.images))
    assert calibrated.fit(blobs).policy is None
    with pytest.raises(ArtifactError, match=f"of 64 features a picture, got {backbone.dim}"):
        open_backbone("raw:1x8x8").with_policy(policy)


@pytest.mark.parametrize("content", [b"", b"\x80\x04pickle", b"\xff" * 64])
def test_bytes_that_are_no_backbone_are_refused(content: bytes) -> None:
    with pytest.raises(ArtifactError):
        Backbone.from_bytes(content)


def test_a_truncated_file_is_refused() -> None:
    content = open_backbone("raw:1x8x8").to_bytes()
    for length in range(0, len(content), 97):
        with pytest.raises(ArtifactError):
            Backbone.from_bytes(content[:length])
