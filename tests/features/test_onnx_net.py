"""ONNX backbones: equal to the torch network they were made from, and hostile graphs refused."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from sfumato.data.imageset import ImageSet
from sfumato.errors import ArtifactError, ConfigError
from sfumato.features.backbone import Backbone, open_backbone
from sfumato.features.preprocess import Preprocess

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())


def graph(batch: int | str, side: int | str = 8, *, rank: int = 4) -> onnx.ModelProto:
    """The same network as `net`, written by hand."""
    weights = [p.detach().numpy() for p in net().parameters()]
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["c"]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("GlobalAveragePool", ["r"], ["y"]),
    ]
    shape = [batch, 1, side, side][:rank]
    return helper.make_model(
        helper.make_graph(
            nodes,
            "net",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, [batch, 4, 1, 1])],
            [numpy_helper.from_array(w, n) for w, n in zip(weights, "wb", strict=True)],
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=9,
    )


@pytest.mark.parametrize("batch", ["n", 1, 7])
def test_it_equals_the_torch_network(batch: int | str, blobs: ImageSet, tmp_path: Path) -> None:
    onnx.save(graph(batch), tmp_path / "net.onnx")
    backbone = open_backbone(f"onnx:{tmp_path / 'net.onnx'}", public=blobs)
    rule = Preprocess(size=(8, 8), channels=1)
    reference = Backbone.wrap(net(), name="net", preprocess=rule).fit(blobs)
    torch.testing.assert_close(
        backbone.unscaled(blobs.images), reference.unscaled(blobs.images), rtol=1e-5, atol=1e-6
    )
    torch.testing.assert_close(
        backbone(blobs.images), reference(blobs.images), rtol=1e-4, atol=1e-4
    )
    again = Backbone.from_bytes(backbone.to_bytes())
    assert again.fingerprint == backbone.fingerprint
    assert torch.equal(again(blobs.images), backbone(blobs.images))


def test_an_exported_network_with_weights_in_a_second_file(blobs: ImageSet, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own
        torch.onnx.export(
            net().eval(),
            (torch.zeros(2, 1, 8, 8),),
            tmp_path / "net.onnx",
            dynamic_shapes=({0: torch.export.Dim("n")},),
            external_data=True,
            verbose=False,
        )
    assert (tmp_path / "net.onnx.data").is_file()
    backbone = open_backbone(f"onnx:{tmp_path / 'net.onnx'}", public=blobs)
    (tmp_path / "net.onnx.data").unlink()
    again = Backbone.from_bytes(backbone.to_bytes())
    expected = net()(blobs.floats()).detach()
    torch.testing.assert_close(again.unscaled(blobs.images), expected, rtol=1e-5, atol=1e-6)


def test_a_graph_of_open_size_needs_preprocessing(blobs: ImageSet, tmp_path: Path) -> None:
    onnx.save(graph("n", "s"), tmp_path / "net.onnx")
    with pytest.raises(ConfigError, match="give `size`"):
        open_backbone(f"onnx:{tmp_path / 'net.onnx'}")
    rule = {"size": (8, 8), "channels": 1, "mean": (0.5,), "std": (0.5,)}
    backbone = open_backbone(f"onnx:{tmp_path / 'net.onnx'}", preprocess=rule, public=blobs)
    expected = net()(blobs.floats() * 2 - 1).detach()
    torch.testing.assert_close(backbone.unscaled(blobs.images), expected, rtol=1e-5, atol=1e-6)


def channels_last(shape: list[int | str]) -> onnx.ModelProto:
    """A graph of the values themselves, in the order in which they come."""
    return helper.make_model(
        helper.make_graph(
            [helper.make_node("Flatten", ["x"], ["y"])],
            "net",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, [shape[0], "d"])],
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=9,
    )


@pytest.mark.parametrize(
    ("shape", "given"),
    [
        (["n", 8, 6, 3], {}),
        (["n", "h", "w", 3], {"size": (8, 6)}),
        (["n", "h", "w", "c"], {"size": (8, 6), "layout": "nhwc"}),
        (["n", 3, 6, 3], {"layout": "nhwc"}),
        ([2, 8, 6, 3], {"order": "bgr", "mean": (0.1, 0.2, 0.3)}),
    ],
)
def test_channels_may_come_last(
    shape: list[int | str], given: dict[str, Any], tmp_path: Path
) -> None:
    onnx.save(channels_last(shape), tmp_path / "net.onnx")
    images = torch.randint(0, 256, (4, 3, 8, 6), dtype=torch.uint8)
    backbone = open_backbone(f"onnx:{tmp_path / 'net.onnx'}", preprocess=given)
    size = given.get("size") or (shape[1], shape[2])
    expected = Preprocess(size=size, layout="nchw", **{
        name: value for name, value in given.items() if name not in ("size", "layout")
    })(images).permute(0, 2, 3, 1)  # fmt: skip
    assert torch.equal(backbone.unscaled(images), expected.flatten(1))
    again = Backbone.from_bytes(backbone.to_bytes())
    assert again.preprocess.layout == "nhwc"
    assert torch.equal(again.unscaled(images), backbone.unscaled(images))


@pytest.mark.parametrize(
    ("shape", "given"),
    [
        (["n", 8, 8, 8], {}),
        (["n", 8, 8, 3], {"layout": "nchw"}),
        (["n", 3, 8, 8], {"layout": "nhwc"}),
    ],
)
def test_a_layout_that_cannot_be_is_named(
    shape: list[int | str], given: dict[str, Any], tmp_path: Path
) -> None:
    onnx.save(channels_last(shape), tmp_path / "net.onnx")
    with pytest.raises(ConfigError, match="got 8 by the `layout` n"):
        open_backbone(f"onnx:{tmp_path / 'net.onnx'}", preprocess=given)


def test_published_weights_open(real_models: Path) -> None:
    backbone = open_backbone(f"onnx:{real_models / 'dlib' / 'gender-v1.onnx'}")
    assert (backbone.dim, backbone.preprocess.size) == (2, (32, 32))
    odds = backbone.unscaled(torch.randint(0, 256, (3, 3, 160, 160), dtype=torch.uint8))
    torch.testing.assert_close(odds.sum(1), torch.ones(3))


def external() -> onnx.ModelProto:
    model = graph("n")
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="passwd")
    return model


def hidden_external() -> onnx.ModelProto:
    model = graph("n")
    constant = helper.make_node("Constant", [], ["k"], value=external().graph.initializer[0])
    inner = helper.make_graph([constant], "inner", [], [])
    branch = helper.make_node("If", ["x"], ["z"], then_branch=inner, else_branch=inner)
    model.graph.node.append(branch)
    return model


def two_inputs() -> onnx.ModelProto:
    model = graph("n")
    model.graph.input.append(helper.make_tensor_value_info("z", TensorProto.FLOAT, [1]))
    return model


def sums_the_batch() -> onnx.ModelProto:
    model = graph("n")
    model.graph.node.append(helper.make_node("ReduceSum", ["y"], ["s"], keepdims=0))
    model.graph.output[0].name = "s"
    del model.graph.output[0].type.tensor_type.shape.dim[:]
    return model


def says_nothing() -> onnx.ModelProto:
    model = graph("n")
    for name, value in (("from", 0), ("to", 0), ("axis", 1)):
        model.graph.initializer.append(numpy_helper.from_array(np.array([value]), name))
    model.graph.node.append(helper.make_node("Slice", ["y", "from", "to", "axis"], ["s"]))
    model.graph.output[0].name = "s"
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 0
    return model


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not an onnx graph",
        graph("n").SerializeToString()[:200],
        external().SerializeToString(),
        hidden_external().SerializeToString(),
        two_inputs().SerializeToString(),
        graph("n", rank=3).SerializeToString(),
        sums_the_batch().SerializeToString(),
        says_nothing().SerializeToString(),
    ],
    ids=["empty", "text", "cut", "external", "hidden", "two inputs", "rank 3", "sum", "no numbers"],
)
def test_hostile_graphs_are_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(content)
    with pytest.raises(ArtifactError):
        open_backbone(f"onnx:{tmp_path / 'net.onnx'}")
    rule = Preprocess(size=(8, 8), channels=1)
    good = Backbone.wrap(net(), name="net", preprocess=rule).to_stored()
    from sfumato.features import stored

    bare = stored.Stored(
        name="net",
        kind="onnx",
        architecture="",
        preprocess=good.preprocess,
        tensors={"net.graph": torch.frombuffer(bytearray(content or b"\0"), dtype=torch.uint8)},
    )
    with pytest.raises(ArtifactError):
        Backbone.from_bytes(stored.pack(bare))
