"""Writes vectors/backbone.json: `python -m tests.features.make_backbone_vector`."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import torch
from torch import nn

from sfumato.features.backbone import Backbone
from sfumato.features.policy import Policy
from sfumato.features.preprocess import Preprocess
from sfumato.features.projection import Projection
from sfumato.features.scaler import Scaler

VECTOR = Path(__file__).parent / "vectors/backbone.json"
PIXELS = [[[[0, 51], [102, 255]]], [[[255, 204], [153, 0]]]]


def main() -> None:
    """Make a raw backbone with every optional part."""
    backbone = Backbone(
        nn.Flatten(),
        name="raw:1x2x2",
        kind="raw",
        architecture="",
        preprocess=Preprocess(size=(2, 2), channels=1, mean=(0.5,), std=(0.25,)),
        projection=Projection(
            torch.tensor([0.5, 0.0, -0.5, 1.0]),
            torch.tensor([[0.5, 0.5, 0.5, 0.5], [0.5, -0.5, 0.5, -0.5]]),
        ),
        scaler=Scaler(torch.tensor([-4.0, -2.0]), torch.tensor([4.0, 3.0])),
    )
    policy = Policy(
        cohort=torch.arange(400).reshape(200, 2) / 399,
        dimension=4.5,
        false_blocks=0.01,
        contested=0.875,
    )
    vector = {
        "file": base64.b64encode(backbone.to_bytes()).decode(),
        "pixels": PIXELS,
        "features": backbone(torch.tensor(PIXELS, dtype=torch.uint8)).tolist(),
        "fingerprint": backbone.fingerprint,
        "calibrated": base64.b64encode(backbone.with_policy(policy).to_bytes()).decode(),
        "policy": {**policy.document(), "digest": policy.digest},
    }
    VECTOR.write_text(json.dumps(vector, indent=1) + "\n")


if __name__ == "__main__":
    main()
