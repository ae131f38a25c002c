from __future__ import annotations

import base64
import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from papers.docl.facenet import load_facenet
from papers.recipe import Run
from papers.san.expression import ExpressionNet, load_expression
from papers.san.graph import load_graph
from papers.san.measure import (
    PairRows,
    Shown,
    Witness,
    attribute_auc,
    consecutive,
    match,
    official,
    quality,
    readable,
    versions,
)
from papers.san.probes import shown, train_probe
from papers.san.published import dlib_gender, face_api_gender
from papers.san.run import RECIPES, config_of
from papers.san.worlds import characters, first_folds
from sfumato.data.imageset import ImageSet
from sfumato.data.sets.lfw import TIGHT, Pairs
from sfumato.data.sources import load
from sfumato.errors import ArtifactError, DataError
from sfumato.nets.faceresnet import MEAN
from sfumato.protect.san.model import SemiAdversarial

_FOLDER = Path(__file__).parents[2] / "papers" / "san"


def _run(recipe: str, out: Path) -> Run:
    return Run(slug="san", recipe=recipe, quick=True, seed=0, device="cpu", data_dir=None, out=out)


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_has_settings_of_both_sizes(recipe: str) -> None:
    settings = tomllib.loads((_FOLDER / "recipes" / f"{recipe}.toml").read_text())
    assert set(settings) == {"full", "quick"}
    for size in settings.values():
        assert config_of(size).network in ("paper", "residual")


def test_nobody_is_both_trained_on_and_judged(tmp_path: Path) -> None:
    world = characters(_run("characters", tmp_path), {"identities": 10, "count": 60, "size": 16})
    train, judged = (set(part.label("identity").tolist()) for part in (world.train, world.judged))
    assert train
    assert judged
    assert not train & judged


@pytest.mark.parametrize("recipe", ["lfw", "celeba"])
def test_recipes_on_files_say_which(recipe: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"{recipe}/ in it"):
        RECIPES[recipe](_run(recipe, tmp_path), {})


TINY: dict[str, Any] = {
    "identities": 12,
    "count": 120,
    "size": 16,
    "judged": 20,
    "pairs": 8,
    "retrain_images": 30,
    "own_matcher_epochs": 1,
    "own_matchers": 2,
    "san": {
        "channels": 3,
        "classifier_epochs": 1,
        "epochs": 1,
        "rounds": 1,
        "ensemble": 2,
        "ensemble_a_step": 1,
        "ensemble_images": 40,
        "match_share": 1.0,
    },
}


@pytest.mark.parametrize("output", ["coin", pytest.param("OP", marks=pytest.mark.slow)])
def test_a_small_run_gives_every_figure_that_the_recipes_promise(
    output: str, tmp_path: Path
) -> None:
    drawn = {"SM", "NT", "OP"} if output == "OP" else {"SM", "OP"}
    settings = TINY | {"san": TINY["san"] | {"output": output}}
    results = RECIPES["characters"](_run("characters", tmp_path), settings)
    versions = {"role", "interval", "original", "release", *drawn}
    roles = {name: found["role"] for name, found in results["attribute_auc"].items()}
    assert set(roles.values()) == {"unseen", "retrained"}
    assert roles["own classifier"] == "unseen"  # nothing of ours trains against it
    for figure in ("attribute_auc", "attribute_auc_two_sided", "tar_at_far_1e-2"):
        assert all(set(found) == versions for found in results[figure].values())
    assert all(set(f) == versions - {"interval"} for f in results["match_auc"].values())
    assert set(results["match_auc"]) == {"trained against", "another"}
    assert set(results["psnr"]) == set(results["ssim"]) == {"release", *drawn}
    retrained = [name for name, role in roles.items() if role == "retrained"]
    assert len(retrained) == 4  # a network, trees, and a probe and neighbours of embeddings
    assert len(list((tmp_path / "figures").glob("*.png"))) == 5


def _brightness(images: Tensor) -> Tensor:
    return images.mean((1, 2, 3))


def test_a_reader_of_brightness_is_fooled_by_the_negative() -> None:
    bright = torch.linspace(0, 1, 10)[:, None, None, None].expand(-1, 1, 4, 4)
    shown = Shown(bright, (torch.arange(10) > 4).long()[:, None], tuple("aabbcddeef"))
    pictures = {"original": bright, "release": 1 - bright, "NT": torch.full_like(bright, 0.5)}
    areas, scores = attribute_auc({"eye": Witness(_brightness, "unseen")}, pictures, shown)
    assert torch.equal(scores["eye"]["original"], _brightness(bright))
    assert areas["eye"] == {
        "role": "unseen", "original": 1.0, "release": 0.0, "NT": 0.5, "interval": [0.0, 0.0],
    }  # fmt: skip
    assert readable(areas)["eye"] == {
        "role": "unseen", "original": 1.0, "release": 1.0, "NT": 0.5, "interval": [1.0, 1.0],
    }  # fmt: skip
    around = readable({"eye": {"interval": [0.3, 0.6]}})
    assert around["eye"]["interval"] == pytest.approx([0.5, 0.7])


def test_a_coin_is_one_a_person_and_follows_the_seed() -> None:
    net = SemiAdversarial(height=16, width=16, output="coin")
    net.set_prototypes(torch.rand(1, 3, 3, 16, 16))
    with torch.no_grad():
        net.autoencoder.last.weight.normal_()
    people = tuple(f"person {i // 2}" for i in range(40))
    shown = Shown(
        torch.rand(1, 1, 16, 16).expand(40, -1, -1, -1), torch.zeros(40, 1).long(), people
    )
    made = versions(net, shown, seed=1)
    assert torch.equal(made["release"], versions(net, shown, seed=1)["release"])
    assert not torch.equal(made["release"], versions(net, shown, seed=2)["release"])
    as_sm = (made["release"] == made["SM"]).flatten(1).all(1)
    as_op = (made["release"] == made["OP"]).flatten(1).all(1)
    assert torch.equal(as_sm, ~as_op)
    assert torch.equal(as_sm[::2], as_sm[1::2])
    assert 3 <= int(as_sm[::2].sum()) <= 17


def test_matching_compares_versions_with_another_original() -> None:
    people = torch.rand(12, 1, 6, 6)
    probes = {"original": people, "release": torch.rand(12, 1, 6, 6)}
    witness = {"pixels": Witness(lambda images: images.flatten(1), "unseen")}
    eye = torch.eye(12, dtype=torch.bool)
    rows = PairRows(torch.arange(12), torch.arange(12), ~eye)
    areas, rates, scores = match(witness, probes, (people + 0.01).clamp(0, 1), rows)
    assert areas["pixels"]["original"] == 1.0
    assert rates["pixels"]["original"] == 1.0
    assert 0.2 < areas["pixels"]["release"] < 0.8
    low, high = rates["pixels"]["interval"]
    assert low <= rates["pixels"]["release"] <= high
    genuine, impostor = scores["pixels"]["original"]
    assert (len(genuine), len(impostor)) == (12, 12 * 11)
    assert 0 < float(impostor.min()) <= float(genuine.max()) <= 1


def test_quality_is_perfect_only_for_what_did_not_change() -> None:
    images = torch.rand(3, 1, 16, 16)
    ratio, similarity = quality({"original": images, "same": images, "grey": images * 0 + 0.5})
    assert set(ratio) == {"same", "grey"}
    assert ratio["same"] > 50 > ratio["grey"]
    assert similarity["same"] == pytest.approx(1, abs=1e-4)


def test_two_pictures_a_person_half_of_each_value(blobs: ImageSet) -> None:
    people = ImageSet(
        name="people",
        images=blobs.images,
        labels={"identity": torch.arange(200) // 4, "mood": torch.arange(200) // 4 % 2},
        classes={"identity": tuple(map(str, range(50))), "mood": ("low", "high")},
    )
    rows = consecutive(people, "mood", 20)
    assert torch.equal(people.label("identity")[rows.left], people.label("identity")[rows.right])
    assert not bool((rows.left == rows.right).any())
    assert people.label("mood")[rows.left].bincount().tolist() == [10, 10]
    assert torch.equal(rows.strangers, ~torch.eye(20, dtype=torch.bool))
    every = consecutive(people, "mood", 1_000)
    assert len(every.left) == 100  # two pairs of each of 50 people
    assert len(torch.cat([every.left, every.right]).unique()) == 200
    assert not bool(every.strangers.diagonal().any())
    assert int((~every.strangers).sum()) == 50 * 4


def test_official_pairs_are_of_one_person_and_only_of_the_judged() -> None:
    pairs = Pairs(
        left=("a1", "b1", "a1", "x1", "c1"),
        right=("a2", "b2", "b1", "a1", "a2"),
        same=(True, True, False, False, False),
        fold=(0, 0, 0, 0, 1),
    )
    assert first_folds(pairs, 1).right == ("a2", "b2", "b1", "a1")
    files = ("a1", "a2", "b1", "b2", "c1")
    people = ImageSet(
        name="people",
        images=torch.zeros(5, 1, 4, 4, dtype=torch.uint8),
        labels={"identity": torch.tensor([0, 0, 1, 1, 2])},
        classes={"identity": ("a", "b", "c")},
        files=files,
    )
    rows = official(people, pairs, 4)  # x1 is nobody judged
    named = [(files[i], files[j]) for i, j in zip(rows.left, rows.right, strict=True)]
    assert named == [("a1", "a2"), ("b1", "b2")]
    assert rows.strangers.tolist() == [[False, True], [True, False]]
    assert len(official(people, pairs, 1).left) == 1


def test_the_expression_network_is_the_published_one() -> None:
    shapes: dict[str, tuple[int, ...]] = {}
    before = 3
    for block, wide in enumerate((32, 64, 128, 256)):
        for number in range(4):
            name, entry = f"dense{block}/conv{number}", before if number == 0 else wide
            if block == number == 0:
                shapes[f"{name}/filters"] = (3, 3, 3, wide)
            else:
                shapes[f"{name}/depthwise_filter"] = (3, 3, entry, 1)
                shapes[f"{name}/pointwise_filter"] = (1, 1, entry, wide)
            shapes[f"{name}/bias"] = (wide,)
        before = wide
    w = {name: torch.randn(shape) * 0.1 for name, shape in shapes.items()}

    def same(x: Tensor, kernel: Tensor, stride: int, groups: int = 1) -> Tensor:
        # height x width x in x out; an even side at stride 2 gets its odd pixel below and right
        edge = (0, 1, 0, 1) if stride == 2 else (1, 1, 1, 1)
        kernel = kernel.permute(2, 3, 0, 1) if groups > 1 else kernel.permute(3, 2, 0, 1)
        return F.conv2d(F.pad(x, edge), kernel, stride=stride, groups=groups)

    def separable(x: Tensor, name: str, stride: int) -> Tensor:
        deep = same(x, w[f"{name}/depthwise_filter"], stride, groups=x.shape[1])
        wide = torch.einsum("nchw,co->nohw", deep, w[f"{name}/pointwise_filter"][0, 0])
        return wide + w[f"{name}/bias"][:, None, None]

    x = images = torch.rand(2, 1, 96, 96)
    x = (x.expand(-1, 3, -1, -1) * 255 - torch.tensor(MEAN)[:, None, None]) / 255
    for b in range(4):
        if b == 0:
            out1 = same(x, w["dense0/conv0/filters"], 2) + w["dense0/conv0/bias"][:, None, None]
        else:
            out1 = separable(x, f"dense{b}/conv0", 2)
        out1 = out1.relu()
        out2 = separable(out1, f"dense{b}/conv1", 1)
        out3 = separable((out1 + out2).relu(), f"dense{b}/conv2", 1)
        out4 = separable((out1 + out2 + out3).relu(), f"dense{b}/conv3", 1)
        x = (out1 + out2 + out3 + out4).relu()
    net = ExpressionNet(w)
    torch.testing.assert_close(net.seen(images), x, atol=1e-4, rtol=1e-4)
    assert net(images).shape == (2, 1)


def _node(name: str, op: str, entries: list[str], **attributes: object) -> dict[str, object]:
    return {"name": name, "op": op, "input": entries, "attr": attributes}


def _string(text: str) -> dict[str, str]:
    return {"s": base64.b64encode(text.encode()).decode()}


def _list(*values: int) -> dict[str, object]:
    return {"list": {"i": [str(value) for value in values]}}


@pytest.mark.parametrize("stride", [1, 2])
def test_a_browser_graph_gives_what_torch_gives(stride: int, tmp_path: Path) -> None:
    weights = {
        "kernel": torch.randn(3, 3, 2, 4),
        "bias": torch.randn(4),
        "depth": torch.randn(3, 3, 4, 1),
        "dims": torch.tensor([1, 2], dtype=torch.int32),
        "matrix": torch.randn(4, 5).half(),
    }
    strides = _list(1, stride, stride, 1)
    fused = {"list": {"s": [_string("BiasAdd")["s"], _string("Relu6")["s"]]}}
    nodes = [
        {"name": "in", "op": "Placeholder"},
        _node("a", "_FusedConv2D", ["in", "kernel", "bias"], strides=strides,
              padding=_string("SAME"), fused_ops=fused),
        _node("b", "MaxPool", ["a"], ksize=_list(1, 2, 2, 1), strides=_list(1, 2, 2, 1),
              padding=_string("SAME")),
        _node("c", "DepthwiseConv2dNative", ["b", "depth"], strides=_list(1, 1, 1, 1),
              padding=_string("VALID")),
        _node("d", "Mean", ["c", "dims"], keep_dims={"b": False}),
        _node("e", "MatMul", ["d", "matrix"]),
        _node("out", "Softmax", ["e"]),
    ]  # fmt: skip
    entries = [{"name": name, "shape": list(value.shape), "dtype": str(value.dtype)[6:]}
               for name, value in weights.items()]  # fmt: skip
    entries[-1] |= {"dtype": "float32", "quantization": {"dtype": "float16"}}
    model = {"modelTopology": {"node": nodes}, "weightsManifest": [{"weights": entries}]}
    (tmp_path / "net.json").write_text(json.dumps(model))
    content = b"".join(value.numpy().tobytes() for value in weights.values())
    (tmp_path / "net.bin").write_bytes(content)
    images = torch.rand(3, 9, 11, 2, requires_grad=True)
    out = load_graph(tmp_path, "net")(images, "out:0")
    x = images.permute(0, 3, 1, 2)
    # Odd sides: "same" padding is even at either stride.
    x = F.relu6(F.conv2d(x, weights["kernel"].permute(3, 2, 0, 1), weights["bias"], stride, 1))
    x = F.max_pool2d(x, 2, 2, ceil_mode=True)
    x = F.conv2d(x, weights["depth"].permute(2, 3, 0, 1), groups=4).mean((2, 3))
    torch.testing.assert_close(out, (x @ weights["matrix"].float()).softmax(1))
    out[:, 0].sum().backward()
    assert images.grad is not None
    assert float(images.grad.abs().sum()) > 0
    (tmp_path / "net.bin").write_bytes(content[:-1])
    with pytest.raises(ArtifactError, match="ends inside matrix"):
        load_graph(tmp_path, "net")
    nodes.append(_node("odd", "Einsum", ["e"]))
    (tmp_path / "net.json").write_text(json.dumps(model))
    (tmp_path / "net.bin").write_bytes(content)
    with pytest.raises(ArtifactError, match="no operation Einsum"):
        load_graph(tmp_path, "net")
    with pytest.raises(ArtifactError, match=r"expected other.json"):
        load_graph(tmp_path, "other")


@pytest.mark.slow
def test_published_networks_read_faces_and_so_do_probes(real_data: Path, real_models: Path) -> None:
    faces = load("lfw", data_dir=real_data, box=TIGHT, size=64, channels=1, count=400)
    faces = faces.subset(faces.label("gender") >= 0)
    truth, images = faces.label("gender"), faces.floats()
    pictures = {"original": images[200:], "release": images[200:]}
    shown_ = Shown.of(faces.subset(range(200, len(faces))), "gender", 1)
    net = load_facenet(real_models / "face-api")
    deep = train_probe(net, images[:200], truth[:200], seed=0)
    with torch.no_grad():
        witnesses = {
            "xception": Witness(face_api_gender(real_models / "face-api"), "unseen"),
            "dlib": Witness(dlib_gender(real_models / "dlib"), "unseen"),
            "probe": Witness(lambda x: deep(x)[:, 0], "seen"),
        }
        found, _ = attribute_auc(witnesses, pictures, shown_)
    assert found["xception"]["original"] > 0.9
    assert found["dlib"]["original"] > 0.9
    assert found["probe"]["original"] > 0.8
    assert load_expression(real_models / "face-api")(images[:2]).shape == (2, 1)
    whole = shown(net, images[:4], (4, 12))
    torch.testing.assert_close(whole[0], shown(net, images[:4], (4,))[0])
