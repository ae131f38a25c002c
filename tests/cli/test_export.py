from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from sfumato.cli.main import app
from sfumato.errors import ArtifactError, ConfigError
from sfumato.protect.obfuscator.model import Obfuscator
from sfumato.protect.prototypes.model import PrototypeAnonymizer
from sfumato.protect.san.model import SemiAdversarial
from tests.protect.standing import STANDING

onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")


def _export(*arguments: str) -> dict[str, object]:
    done = CliRunner().invoke(app, ["export", *arguments, "--json"], catch_exceptions=False)
    assert done.exit_code == 0
    return dict(json.loads(done.stdout.splitlines()[-1]))


def test_a_camera_gets_the_obfuscator_only(tmp_path: Path) -> None:
    made = Obfuscator(
        channels=1, height=32, width=32, utility="digit", classes=["a", "b"], scale=0.07,
        map_channels=4,
    ).eval()  # fmt: skip
    made.save_pretrained(tmp_path / "made")
    told = _export(str(tmp_path / "made"), "-o", str(tmp_path / "camera.onnx"))
    assert told["inputs"] == ["images", "noise"]
    assert told["bytes"] == (tmp_path / "camera.onnx").stat().st_size
    session = onnxruntime.InferenceSession(str(tmp_path / "camera.onnx"))
    images = np.random.default_rng(0).random((3, 1, 32, 32), np.float32)
    (maps,) = session.run(["maps"], {"images": images, "noise": np.zeros((3, 4, 2, 2), np.float32)})
    assert maps.dtype == np.int8
    with torch.no_grad():
        expected = made.quantised(made.means(torch.from_numpy(images)))
    assert int((torch.from_numpy(maps).int() - expected.int()).abs().max()) <= 1


@pytest.mark.slow
def test_a_san_is_exported_with_its_own_classifier(tmp_path: Path) -> None:
    made = SemiAdversarial(
        attributes=["glasses"], channels=1, height=16, width=16, network="residual"
    ).eval()
    made.save_pretrained(tmp_path / "made")
    told = _export(str(tmp_path / "made"), "-o", str(tmp_path / "san.onnx"))
    session = onnxruntime.InferenceSession(str(tmp_path / "san.onnx"))
    images = np.random.default_rng(0).random((5, 1, 16, 16), np.float32)
    (released,) = session.run(None, {str(told["inputs"][0]): images})  # type: ignore[index]
    torch.testing.assert_close(
        torch.from_numpy(released), made.release(torch.from_numpy(images)), atol=1e-5, rtol=0
    )


def test_what_cannot_be_exported_is_named(tmp_path: Path) -> None:
    made = PrototypeAnonymizer(
        channels=1,
        height=16,
        width=16,
        hides="who",
        prototypes=3,
        features=4,
        target=None,
        standing=STANDING,
    )
    made.save_pretrained(tmp_path / "made")
    out = tmp_path / "x.onnx"
    with pytest.raises(ConfigError, match="kind prototypes is not exported"):
        _export(str(tmp_path / "made"), "-o", str(out))
    (tmp_path / "empty").mkdir()
    with pytest.raises((ArtifactError, OSError), match=r"config\.json"):
        _export(str(tmp_path / "empty"), "-o", str(out))
    assert not out.exists()
