"""The backbone's file: a frozen vector, read by us and by a second reader of the documentation."""

from __future__ import annotations

import base64
import hashlib
import json
import struct
from pathlib import Path

import pytest
import torch

from sfumato.features.backbone import Backbone

VECTOR = json.loads((Path(__file__).parent / "vectors/backbone.json").read_text())


def test_a_frozen_backbone_keeps_its_fingerprint_and_features() -> None:
    backbone = Backbone.from_bytes(base64.b64decode(VECTOR["file"]))
    assert backbone.fingerprint == VECTOR["fingerprint"]
    features = backbone(torch.tensor(VECTOR["pixels"], dtype=torch.uint8))
    torch.testing.assert_close(features, torch.tensor(VECTOR["features"]))


def test_a_second_reader_agrees() -> None:
    content = base64.b64decode(VECTOR["file"])
    size = int.from_bytes(content[:8], "little")
    layout = json.loads(content[8 : 8 + size])
    header = json.loads(layout.pop("__metadata__")["sfumato"])
    config = json.loads(header["config"])
    identity = [config["kind"], config["architecture"], config["preprocess"]]
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode())
    tensors = {}
    for name in sorted(layout):
        start, end = (8 + size + offset for offset in layout[name]["data_offsets"])
        assert layout[name]["dtype"] == "F32"
        digest.update(f"{name}:torch.float32:{tuple(layout[name]['shape'])}:".encode())
        digest.update(content[start:end])
        tensors[name] = struct.unpack(f"<{(end - start) // 4}f", content[start:end])
    assert digest.hexdigest() == VECTOR["fingerprint"]
    rule = config["preprocess"]
    for picture, expected in zip(VECTOR["pixels"], VECTOR["features"], strict=True):
        pixels = [v for row in picture[0] for v in row]
        x = [(v / 255 - rule["mean"][0]) / rule["std"][0] for v in pixels]
        centred = [v - m for v, m in zip(x, tensors["projection.mean"], strict=True)]
        for i, (low, high) in enumerate(
            zip(tensors["scaler.low"], tensors["scaler.high"], strict=True)
        ):
            direction = tensors["projection.components"][4 * i : 4 * i + 4]
            value = sum(a * b for a, b in zip(centred, direction, strict=True))
            assert min(1, max(0, (value - low) / (high - low))) == pytest.approx(expected[i])


def test_a_frozen_policy_is_beside_the_same_network() -> None:
    backbone = Backbone.from_bytes(base64.b64decode(VECTOR["calibrated"]))
    assert backbone.fingerprint == VECTOR["fingerprint"]
    policy = backbone.policy
    assert policy is not None
    assert {**policy.document(), "digest": policy.digest} == VECTOR["policy"]
    assert torch.equal(policy.cohort, torch.arange(400).reshape(200, 2) / 399)
    assert backbone.with_policy(None).to_bytes() == base64.b64decode(VECTOR["file"])
    assert backbone.to_bytes() == base64.b64decode(VECTOR["calibrated"])
