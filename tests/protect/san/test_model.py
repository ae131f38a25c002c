from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from sfumato.data.imageset import ImageSet
from sfumato.errors import ArtifactError, ConfigError, DataError
from sfumato.fit.config import FitConfig
from sfumato.nets.attributes import SmallClassifier
from sfumato.protect.pretrained import open_pretrained
from sfumato.protect.san.classifiers import Ensemble, balanced_rows, train_classifier
from sfumato.protect.san.config import Output, SanConfig
from sfumato.protect.san.fit import fit_san
from sfumato.protect.san.matcher import train_matcher
from sfumato.protect.san.model import STEER, SemiAdversarial
from sfumato.protect.san.onnx import export_san
from sfumato.protect.san.prototypes import MeanPictures, binary_labels, labelled, prototypes_of

_QUICK = SanConfig.preset(
    "drawn",
    channels=1,
    refreshed=2,
    match_share=0.34,
    joint_images=None,
    classifier_epochs=6,
    epochs=8,
    ensemble=3,
    ensemble_a_step=2,
    ensemble_images=150,
    match_weight=0.0,
    pixel_weight=0.0,
    bound=0.5,
    device="cpu",
    pretrain_epochs=2,
)


@pytest.fixture(scope="module")
def faces() -> ImageSet:
    """240 grey 16x16 images: `smile` makes the lower half bright, `side` the left, 6 people."""
    generator = torch.Generator().manual_seed(0)
    smile, side = torch.arange(240) % 2, torch.arange(240) // 2 % 2
    images = torch.randint(90, 130, (240, 1, 16, 16), generator=generator)
    images[:, :, 10:14, 2:14] += (smile * 40)[:, None, None, None]
    images[:, :, 2:8, 2:7] += (side * 40)[:, None, None, None]
    return ImageSet(
        name="faces",
        images=images.to(torch.uint8),
        labels={"smile": smile, "side": side, "person": torch.arange(240) // 40},
        classes={"smile": ("no", "yes"), "side": ("r", "l"), "person": tuple("abcdef")},
    )


def made(**settings: object) -> SemiAdversarial:
    net = SemiAdversarial(height=16, width=16, attributes=("smile", "side"), **settings)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    net.set_prototypes(torch.rand(2, 3, 3, 16, 16))
    return net.eval()


def test_prototypes_in_one_pass_are_the_means(faces: ImageSet) -> None:
    found = prototypes_of(faces, ("smile", "side"))
    assert found.shape == (2, 3, 3, 16, 16)
    for k, name in enumerate(("smile", "side")):
        rows = [faces.floats()[faces.label(name) == value].mean(0) for value in (0, 1)]
        for value in (0, 1):
            assert torch.allclose(found[k, value], rows[value].expand(3, -1, -1), atol=1e-5)
    # Weighted by how many there are of each: the mean of all.
    few = faces.subset(torch.cat([torch.arange(40), torch.arange(41, 240, 2)]))
    assert torch.allclose(prototypes_of(few, ("smile",))[0, 2, :1], few.floats().mean(0), atol=1e-5)


def test_prototypes_of_another_size_are_refused(faces: ImageSet) -> None:
    means = MeanPictures.empty(1, (16, 16))
    with pytest.raises(DataError, match="load all at one size"):
        means.add(torch.zeros(2, 1, 8, 8, dtype=torch.uint8), torch.zeros(2, 1, dtype=torch.int64))
    with pytest.raises(DataError, match="expected prototypes of shape"):
        made().set_prototypes(torch.rand(2, 3, 3, 8, 8))
    with pytest.raises(DataError, match="of each value of a hidden attribute, got 0 of one"):
        means.prototypes()


def test_copies_of_a_picture_are_one_picture_of_the_ten() -> None:
    different = torch.randint(0, 256, (19, 1, 8, 8)).to(torch.uint8)
    copied = torch.cat([different, different[:1].expand(11, 1, 8, 8)])
    labels = (torch.arange(30) < 10).long()[:, None]  # of value 0: nine different, eleven copies
    labels[19:] = 0
    means = MeanPictures.empty(1, (8, 8))
    for part in (slice(0, 22), slice(22, 30)):  # in batches, as a collection is read
        means.add(copied[part], labels[part])
    # The first picture is of value 1, its copies are the tenth picture of value 0.
    assert means.counts.tolist() == [[10, 10]]
    expected = torch.cat([different[10:], different[:1]]).double().mean(0) / 255
    assert torch.allclose(means.prototypes()[0, 0].double(), expected.expand(3, -1, -1), atol=1e-6)
    alone = MeanPictures.empty(1, (8, 8))
    alone.add(different[:1].expand(40, 1, 8, 8), (torch.arange(40) % 2)[:, None])
    with pytest.raises(DataError, match=r"different pictures .* got 1 of one"):
        alone.prototypes()


def test_a_prototype_is_the_mean_of_ten_pictures_at_least() -> None:
    """The artifact carries it: of nine pictures of one value, it would nearly be one of them."""
    images = torch.randint(0, 256, (30, 3, 8, 8)).to(torch.uint8)
    for fewest in (1, 9, 10):
        means = MeanPictures.empty(1, (8, 8))
        means.add(images, (torch.arange(30) < fewest).long()[:, None])
        if fewest < 10:
            with pytest.raises(DataError, match=f"got {fewest} of one"):
                means.prototypes()
        else:
            assert means.prototypes().shape == (1, 3, 3, 8, 8)


def test_an_attribute_that_cannot_be_hidden_is_named(faces: ImageSet) -> None:
    with pytest.raises(DataError, match="6 values"):
        binary_labels(faces, ("person",))
    with pytest.raises(DataError, match="one and the same"):
        binary_labels(faces.where("smile", "yes"), ("smile",))
    only = replace(faces, labels={"smile": torch.zeros(240).long()}, classes={"smile": ("no",)})
    with pytest.raises(DataError, match="one and the same"):
        binary_labels(only, ("smile",))
    with pytest.raises(DataError, match="no label 'age'"):
        binary_labels(faces, ("age",))


def test_pictures_without_a_label_are_left_out_and_counted(faces: ImageSet) -> None:
    holes = torch.where(torch.arange(240) < 7, -1, faces.label("smile"))
    some = replace(faces, labels={**faces.labels, "smile": holes})
    known, left_out = labelled(some, ("smile", "side"))
    assert (len(known), left_out) == (233, 7)


@pytest.mark.parametrize("network", ["paper", "residual"])
@pytest.mark.parametrize("channels", [1, 3])
def test_outputs_follow_the_prototype_that_is_asked_for(network: str, channels: int) -> None:
    net = made(network=network, channels=channels)
    x = torch.rand(5, channels, 16, 16)
    y = torch.tensor([[0, 0], [0, 1], [1, 0], [1, 1], [0, 1]])
    drawn = {output: net.draw(x, y, output) for output in STEER}
    same = torch.cat([net.prototypes[0][y[:, 0]], net.prototypes[1][y[:, 1]]], 1)
    other = torch.cat([net.prototypes[0][1 - y[:, 0]], net.prototypes[1][1 - y[:, 1]]], 1)
    neutral = net.prototypes[:, 2].flatten(0, 1)[None].expand_as(same)
    for output, target in {"SM": same, "OP": other, "NT": neutral}.items():
        assert torch.allclose(drawn[output], net.autoencoder(x, same, target))
    assert not torch.allclose(drawn["SM"], drawn["OP"])


def test_release_takes_the_own_classifiers_word() -> None:
    net = made(output="NT")
    x = torch.rand(4, 1, 16, 16)
    assert torch.allclose(net.release(x), net.draw(x, net.guess(x), "NT"), atol=1e-6)


def test_a_coin_knows_nothing_of_the_true_value() -> None:
    net = made(output="coin")
    x, y = torch.rand(6, 1, 16, 16), torch.randint(0, 2, (6, 2))
    assert torch.equal(net.draw(x, y, "OP"), net.draw(x, 1 - y, "SM"))
    assert torch.equal(net.draw(x, y, "SM"), net.toward(x, y))
    torch.manual_seed(3)
    released = net.release(x)
    torch.manual_seed(3)
    assert torch.equal(released, net.release(x))
    assert torch.equal(released, net.toward(x, _coins(3, 6)))
    assert net.drawn_per == "identity"
    assert made().drawn_per is None


def _coins(seed: int, count: int) -> Tensor:
    torch.manual_seed(seed)
    return torch.randint(0, 2, (count, 2))


def test_both_values_come_out_equally_often() -> None:
    torch.manual_seed(0)
    coins = made(output="coin").coins(4_000).float()
    assert coins.mean(0).tolist() == pytest.approx([0.5, 0.5], abs=0.05)
    assert abs(float(torch.corrcoef(coins.T)[0, 1])) < 0.1  # a coin for each attribute


def test_a_missing_label_is_an_error_that_counts() -> None:
    with pytest.raises(DataError, match="2 images have no smile or side"):
        made().draw(torch.rand(3, 1, 16, 16), torch.tensor([[-1, 0], [1, 1], [0, -1]]), "OP")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"height": 18}, "multiples of 4"),
        ({"channels": 2}, "channels"),
        ({"attributes": ()}, "private"),
        ({"network": "deep"}, "network"),
        ({"bound": 0.0}, "bound"),
        ({"output": "XX"}, "output"),
    ],
)
def test_settings_out_of_range_are_named(settings: dict[str, object], message: str) -> None:
    from sfumato.protect.san.model import check_settings

    whole = {
        "height": 16, "width": 16, "channels": 1, "attributes": ("a",), "network": "paper",
        "bound": 0.1, "output": "OP",
    } | settings  # fmt: skip
    if isinstance(whole["network"], str) and isinstance(whole["output"], str):
        with pytest.raises(ConfigError, match=message):
            check_settings(**whole)


def test_a_saved_protector_releases_the_same(tmp_path: Path) -> None:
    net = made(network="residual", bound=0.2)
    net.save_pretrained(tmp_path / "san")
    back = open_pretrained(tmp_path / "san")
    x = torch.rand(3, 1, 16, 16)
    assert torch.equal(back.release(x), net.release(x))
    assert back.private == ("smile", "side")
    assert isinstance(back, SemiAdversarial)
    assert back.autoencoder.bound == 0.2


@pytest.mark.slow
def test_onnx_computes_what_torch_does(tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    for network in ("paper", "residual"):
        net = made(network=network)
        path = tmp_path / f"{network}.onnx"
        export_san(net, path)
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        for count in (1, 5):
            x = torch.rand(count, 1, 16, 16)
            (released,) = session.run(None, {"images": x.numpy()})
            assert torch.allclose(torch.from_numpy(released), net.release(x), atol=1e-5)


def test_a_device_draws_the_coins_of_a_file(tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    net = made(output="coin")
    export_san(net, tmp_path / "coin.onnx")
    session = onnxruntime.InferenceSession(
        str(tmp_path / "coin.onnx"), providers=["CPUExecutionProvider"]
    )
    x, targets = torch.rand(5, 1, 16, 16), torch.randint(0, 2, (5, 2))
    (drawn,) = session.run(None, {"images": x.numpy(), "targets": targets.numpy()})
    with torch.no_grad():
        assert torch.allclose(torch.from_numpy(drawn), net.toward(x, targets), atol=1e-5)


class Eyes(nn.Module):
    """A matcher that sees the mean brightness of quarters."""

    fingerprint = "eyes"

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return nn.functional.adaptive_avg_pool2d(images, 2).flatten(1)


class Closing(Eyes):
    """Those that stop a training when they were asked too often."""

    def __init__(self, most: int | None = None) -> None:
        super().__init__()
        self.most, self.calls = most, 0

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if self.calls == self.most:
            raise KeyboardInterrupt
        self.calls += 1
        return super().forward(images)


@pytest.mark.parametrize("network", ["residual", pytest.param("paper", marks=pytest.mark.slow)])
def test_training_turns_what_strangers_see(faces: ImageSet, network: str) -> None:
    config = replace(_QUICK, network=network)
    fitted = fit_san(faces, private="smile", matcher=Eyes(), config=config)
    labels = faces.label("smile")[:, None]
    torch.manual_seed(99)
    stranger = SmallClassifier(1, 1, family="wide", side=16, width=8)
    train_classifier(stranger, faces.images, labels, _QUICK.stage("x", 8), title="stranger")
    stranger.eval()
    x = faces.floats()
    with torch.no_grad():
        drawn = {output: fitted.protector.draw(x, labels, output) for output in ("SM", "OP")}
        right = {
            name: ((stranger(image) > 0) == labels.bool()).float().mean()
            for name, image in {"x": x, **drawn}.items()
        }
    assert right["x"] > 0.9
    assert right["OP"] < right["SM"] - 0.3
    if network == "residual":
        assert float((drawn["OP"] - x).abs().max()) <= 0.5 + 1e-6
    assert fitted.left_out == 0


@pytest.mark.parametrize("output", [pytest.param("OP", marks=pytest.mark.slow), "coin"])
def test_the_same_seed_gives_the_same_network_also_after_a_stop(
    faces: ImageSet, tmp_path: Path, output: Output
) -> None:
    config = replace(_QUICK, epochs=2, classifier_epochs=1, ensemble=2, rounds=1)
    config = replace(config, output=output)
    eyes = Closing()
    whole = fit_san(faces, private="smile", matcher=eyes, config=config)
    kept = replace(config, checkpoint=tmp_path)
    with pytest.raises(KeyboardInterrupt):
        fit_san(faces, private="smile", matcher=Closing(eyes.calls // 2 + 1), config=kept)
    with pytest.raises(ArtifactError, match="with other settings"):
        fit_san(faces, private="smile", matcher=Eyes(), config=replace(kept, match_weight=1.0))
    resumed = fit_san(faces, private="smile", matcher=Eyes(), config=kept)
    for name, value in whole.protector.state_dict().items():
        assert torch.allclose(value, resumed.protector.state_dict()[name], atol=1e-6), name
    blind = Eyes()
    blind.fingerprint = "blind"
    with pytest.raises(ArtifactError, match="with other settings"):
        fit_san(faces, private="smile", matcher=blind, config=kept)


@pytest.mark.parametrize("network", [pytest.param("paper", marks=pytest.mark.slow), "residual"])
def test_the_seed_alone_decides_what_is_made(faces: ImageSet, network: str) -> None:
    config = replace(_QUICK, network=network, epochs=1, classifier_epochs=1, ensemble=1, rounds=1)

    def made(drawn_before: int, seed: int) -> Tensor:
        torch.manual_seed(drawn_before)
        net = fit_san(faces, private="smile", matcher=Eyes(), config=replace(config, seed=seed))
        return torch.cat([p.detach().flatten() for p in net.protector.parameters()])

    assert torch.equal(made(1, seed=5), made(2, seed=5))
    assert not torch.equal(made(1, seed=5), made(1, seed=6))


def test_a_reader_is_as_wide_as_was_asked() -> None:
    pictures, labels = torch.zeros(8, 1, 16, 16, dtype=torch.uint8), torch.arange(8)[:, None] % 2

    def stage(_: str, epochs: int) -> FitConfig:
        return FitConfig(epochs=epochs, device="cpu")

    def channels(width: int) -> list[int]:
        ensemble = Ensemble(pictures, labels, 8, stage, width=width)
        ensemble.grow(4, 1)  # one of each family
        return [next(iter(classifier.parameters())).shape[0] for classifier in ensemble.members]

    assert channels(16) == [16, 12, 20, 16]
    assert channels(24) == [24, 16, 32, 24]
    with pytest.raises(ConfigError, match="`ensemble_width` must be at least 8, got 4"):
        SanConfig(ensemble_width=4)


@pytest.mark.parametrize("wrong", [{"near": 1.0}, {"near": -0.1}, {"cover": 1.5}])
def test_views_that_cannot_be_are_refused_before_anything_trains(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=f"`{next(iter(wrong))}` must be"):
        SanConfig(**wrong)


def test_a_crowd_is_diverse_and_refreshed(faces: ImageSet) -> None:
    def stage(name: str, epochs: int) -> FitConfig:
        return FitConfig(epochs=epochs, device="cpu")

    ensemble = Ensemble(faces.images, faces.label("smile")[:, None], 40, stage)
    ensemble.grow(3, 1)
    old = list(ensemble.members)
    ensemble.refresh(2, 1)
    ensemble.freeze()
    assert ensemble.members[0] is old[2]
    assert len({r.side for r in ensemble.members}) == 3
    assert not any(p.requires_grad for r in ensemble.members for p in r.parameters())
    assert len({id(r) for r in ensemble.ask(2)}) == 2
    ensemble.known = (torch.nn.Identity(), torch.nn.Identity())
    asked = ensemble.ask(4)
    assert len({id(r) for r in asked}) == 4
    assert sum(r in ensemble.known for r in asked) == 2
    assert ensemble.ask(1)[0] in ensemble.members


def test_balanced_rows_hold_as_many_of_each() -> None:
    labels = (torch.arange(100) < 20).long()[:, None]
    rows = balanced_rows(labels, 40, seed=1)
    assert labels[rows, 0].float().mean() == 0.5
    assert len(rows.unique()) == 40


def test_a_matcher_of_ones_own_tells_people_apart(blobs: ImageSet) -> None:
    from sfumato.attack.tools.matchers import separation

    net = train_matcher(blobs, "person", FitConfig(epochs=8, device="cpu", batch_size=32), width=8)
    with torch.no_grad():
        vectors = net(blobs.floats())
    assert torch.allclose(vectors.norm(dim=1), torch.ones(len(vectors)), atol=1e-5)
    assert separation(vectors, blobs.label("person")) > 0.7
    with pytest.raises(DataError, match="2 people at least"):
        train_matcher(blobs.where("person", "a"), "person", FitConfig(epochs=1))
