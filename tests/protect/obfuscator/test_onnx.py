"""The exported obfuscator makes the maps that torch makes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from sfumato.errors import ConfigError
from sfumato.nets.cuts import PAPER_CUT
from sfumato.protect.obfuscator.model import Obfuscator
from sfumato.protect.obfuscator.onnx import Camera, export_obfuscator

pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")


def _made(stored: str = "int8") -> Obfuscator:
    made = Obfuscator(
        channels=3, height=32, width=32, utility="mood", classes=["a", "b"], scale=0.07,
        map_channels=4, noise=1.0, most_nats=2.0, stored=stored, cut=PAPER_CUT,
    ).eval()  # fmt: skip
    torch.nn.init.normal_(made.priors)
    return made


def test_onnx_and_torch_make_the_same_maps_for_any_batch(tmp_path: Path) -> None:
    import onnxruntime

    made = _made()
    with torch.no_grad():
        made.set_step(made.noisy(made.means(torch.rand(16, 3, 32, 32))))
    path = tmp_path / "camera.onnx"
    export_obfuscator(made, path)
    session = onnxruntime.InferenceSession(path.read_bytes())
    assert [i.name for i in session.get_inputs()] == ["images", "noise"]
    for count in (1, 7):
        images, noise = torch.rand(count, 3, 32, 32), torch.randn(count, *made.map_shape)
        found = torch.from_numpy(
            session.run(["maps"], {"images": images.numpy(), "noise": noise.numpy()})[0]
        )
        with torch.no_grad():
            expected = Camera(made)(images, noise)
        assert found.dtype == torch.int8
        away = (found.int() - expected.int()).abs()
        # A number that lies on the edge of two steps may fall to either side.
        assert int(away.max()) <= 1
        assert float((away > 0).float().mean()) < 0.002
    classifier = sum(p.numel() for p in made.classifier.parameters())
    assert path.stat().st_size < 4 * classifier


def test_maps_of_half_floats_are_not_exported(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="only int8 maps are exported"):
        export_obfuscator(_made("bf16"), tmp_path / "camera.onnx")
