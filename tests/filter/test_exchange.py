"""The filter as a signal type of `threatexchange`, by that package's own base classes and command.

Skips nowhere in CI: the package is among the extras of development.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sfumato.data.decoding.decode import encode_png
from sfumato.data.sources import load
from sfumato.errors import FormatError, InputError, SfumatoError
from sfumato.features.backbone import Backbone, open_backbone
from sfumato.features.picture import features_of
from sfumato.filter.enroll import enroll
from sfumato.filter.enrollment import seal_enrollment
from sfumato.filter.oneclass import OneClassConfig

exchange = pytest.importorskip("sfumato.filter.exchange")
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str], torch.Tensor]:
    """A backbone file, the signals of threes and of eights, and all digits."""
    path = tmp_path_factory.mktemp("exchange") / "public.backbone"
    digits = load("digits")
    backbone = open_backbone("gradients:1x8x8", public=digits)
    backbone.save(path)
    config = OneClassConfig.preset("plain", hidden=16, epochs=20, least_steps=150)
    signals = {}
    for digit in (3, 8):
        own = digits.images[digits.label("digit") == digit][:90]
        x = features_of(backbone, list(own))
        made = enroll(x, config, backbone=backbone.fingerprint, seed=0)
        signed = seal_enrollment(made, Ed25519PrivateKey.generate())
        signals[str(digit)] = exchange.enrollment_signal(signed)
    return path, signals, digits.images


@pytest.fixture(autouse=True)
def _backbone_is_named(
    world: tuple[Path, dict[str, str], torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(exchange.VARIABLE, str(world[0]))


def some(digit: int, count: int) -> list[bytes]:
    digits = load("digits")
    return [encode_png(p) for p in digits.images[digits.label("digit") == digit][100:][:count]]


def test_an_index_finds_whose_class_claims_an_upload(
    world: tuple[Path, dict[str, str], torch.Tensor],
) -> None:
    _, signals, _ = world
    signal = exchange.ClassSignal
    entries = [(signals["3"], {"who": "ada"}), (signals["8"], 7), (signals["3"], "again")]
    index = signal.get_index_cls().build(entries)
    buffer = io.BytesIO()
    index.serialize(buffer)
    assert json.loads(buffer.getvalue())["version"] == 1
    buffer.seek(0)
    again = exchange.ClassIndex.deserialize(buffer)
    found = 0
    for content in some(3, 30):
        asked = signal.hash_from_bytes(content)
        assert signal.validate_signal_str(f" {asked}\n") == asked
        matches = index.query(asked)
        whose = [match.metadata for match in matches]
        assert [match.metadata for match in again.query(asked)] == whose
        distances = [match.similarity_info.distance for match in matches]
        assert distances == sorted(distances)
        assert all(distance <= index.threshold for distance in distances)
        compared = signal.compare_hash(asked, signals["3"])
        assert compared == signal.compare_hash(signals["3"], asked)
        assert compared.match == ({"who": "ada"} in whose) == ("again" in whose)
        found += compared.match
    assert found >= 20
    strangers = [index.query(signal.hash_from_bytes(content)) for content in some(1, 20)]
    assert sum(map(bool, strangers)) <= 5
    assert index.query("") == []
    assert exchange.ClassIndex().query(asked) == []


def test_hostile_signals_are_refused_by_name(
    world: tuple[Path, dict[str, str], torch.Tensor],
) -> None:
    path, signals, _ = world
    own = Backbone.load(path)
    wrong = [
        "",
        "enrollment:",
        "enrollment:%%%",
        signals["3"][:-8],
        "features:",
        f"features:{own.fingerprint}:0:AAAA",
        f"features:{own.fingerprint}:1:AAA!AAA==",  # no base64, though a lax reader takes it
        f"features:{own.fingerprint}:128:AAAA",
        f"features:{own.fingerprint}:{'9' * 5000}:AAAA",
        f"features:{own.fingerprint}:1:AADAfw==",  # not a number
    ]
    for text in wrong:
        with pytest.raises(SfumatoError):
            exchange.ClassSignal.validate_signal_str(text)
    index = exchange.ClassIndex.build([(signals["3"], object())])
    with pytest.raises(InputError, match="JSON"):
        index.serialize(io.BytesIO())
    with pytest.raises(InputError, match="another one's"):
        index.query(f"features:{'0' * 64}:1:AAAAAA==")
    for content in (b"", b"\x80\x04N.", b"[]", b'{"version": 2, "signals": [], "entries": []}'):
        with pytest.raises(FormatError):
            exchange.ClassIndex.deserialize(io.BytesIO(content))


@pytest.mark.slow
def test_the_packages_own_command_matches_with_it(
    world: tuple[Path, dict[str, str], torch.Tensor], tmp_path: Path
) -> None:
    path, signals, _ = world
    environment = os.environ | {
        "HOME": str(tmp_path),
        exchange.VARIABLE: str(path),
        "PYTHONPATH": str(ROOT / "src"),
        "OMP_NUM_THREADS": "1",
    }

    def run(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-m", "threatexchange", *words],
            capture_output=True,
            text=True,
            check=False,
            env=environment,
            cwd=tmp_path,
        )
        assert done.returncode == 0, done.stderr[-1500:]
        return done.stdout

    (tmp_path / "signals.txt").write_text(signals["3"] + "\n")
    run("config", "extensions", "add", "sfumato.filter.exchange")
    file = str(tmp_path / "signals.txt")
    collab = ("config", "collab", "edit", "local_file", "--create", "threes", "--filename", file)
    run(*collab, "--signal-type", "sfumato_class")
    run("fetch")
    index = exchange.ClassIndex.build([(signals["3"], None)])
    picked = {
        wanted: next(
            content
            for content in some(digit, 30)
            if bool(index.query(exchange.ClassSignal.hash_from_bytes(content))) == wanted
        )
        for digit, wanted in ((3, True), (1, False))
    }
    for wanted, content in picked.items():
        picture = tmp_path / f"{wanted}.png"
        picture.write_bytes(content)
        assert ("sfumato_class" in run("match", "photo", str(picture))) == wanted
