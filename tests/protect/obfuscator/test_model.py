from __future__ import annotations

from pathlib import Path

import pytest
import torch

from sfumato.errors import ConfigError, DataError
from sfumato.nets.cuts import PAPER_CUT
from sfumato.protect.obfuscator.model import Obfuscator
from sfumato.protect.pretrained import open_pretrained


def _made(**settings: object) -> Obfuscator:
    given = {
        "channels": 1, "height": 32, "width": 32, "utility": "mood", "classes": ["a", "b", "c"],
        "scale": 0.07, "cut": PAPER_CUT,
    }  # fmt: skip
    return Obfuscator(**{**given, **settings}).eval()  # type: ignore[arg-type]


@pytest.mark.parametrize("stored", ["int8", "bf16"])
@pytest.mark.parametrize("noise", [0.0, 1.0])
def test_an_artifact_read_back_makes_the_same_maps(
    tmp_path: Path, stored: str, noise: float
) -> None:
    made = _made(stored=stored, noise=noise, map_channels=3, most_nats=0.5 if noise else None)
    images = torch.rand(5, 1, 32, 32)
    if noise:
        torch.nn.init.normal_(made.priors)
        made.measure_nats(images)
    with torch.no_grad():
        made.set_step(made.means(images))
    made.save_pretrained(tmp_path / "a")
    read = open_pretrained(tmp_path / "a")
    assert isinstance(read, Obfuscator)
    torch.manual_seed(1)
    first = made.release(images)
    torch.manual_seed(1)
    assert torch.equal(read.release(images), first)
    assert read.certificate == made.certificate
    assert read.guarantee == made.guarantee
    assert torch.equal(read.classify(first), made.classify(first))
    assert first.dtype == {"int8": torch.int8, "bf16": torch.bfloat16}[stored]


def test_eight_bits_lose_half_a_step_at_most() -> None:
    made = _made(noise=0.0)
    maps = 7 * torch.randn(9, *made.map_shape)
    made.set_step(maps)
    error = (made.floats(made.quantised(maps)) - maps).abs()
    assert bool((error <= made.step / 2 + 1e-6).all())
    beyond = made.quantised(10 * maps)
    assert int(beyond.max()) == 127
    assert int(beyond.min()) == -127


def test_noise_is_drawn_anew_and_has_its_size() -> None:
    made = _made(noise=2.0, stored="bf16")
    images = torch.rand(1, 1, 32, 32).expand(64, -1, -1, -1)
    maps = made.floats(made.release(images))
    assert not torch.equal(maps[0], maps[1])
    assert 1.8 < float(maps.std(0).mean()) < 2.2


@pytest.mark.parametrize(
    "maps",
    [
        torch.zeros(2, 9, 8, 8),
        torch.zeros(2, 9, 8, 8, dtype=torch.bfloat16),
        torch.zeros(2, 5, 8, 8, dtype=torch.int8),
        torch.zeros(2, 9, 8, 4, dtype=torch.int8),
    ],
)
def test_maps_of_another_obfuscator_are_refused(maps: torch.Tensor) -> None:
    with pytest.raises(DataError, match=r"makes maps of torch.int8 and shape \(9, 8, 8\), got"):
        _made().floats(maps)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"height": 28, "width": 28}, "at least 32x32"),
        ({"cut": 40}, "`cut` must be"),
        ({"classes": ["a"]}, "two classes"),
        ({"noise": -1.0}, "noise of 0 or more"),
        ({"stored": "int4"}, "int8 or bf16"),
        ({"most_nats": -1.0}, "0 nats or more"),
        ({"most_nats": 1.0, "noise": 0.0}, "without noise there is no such bound"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        _made(**settings)


def test_a_card_and_a_report_say_the_bound_and_what_was_measured() -> None:
    made = _made(most_nats=0.5)
    assert made.certificate == {"most": 0.5}
    made.measure_nats(torch.rand(50, 1, 32, 32))
    assert list(made.certificate) == ["most", "mean", "p95", "worst"]
    assert made.certificate["worst"] <= 0.5
    card = str(made.generate_model_card())
    assert "| nats that a map says beyond the class that it tells, at most | 0.5 |" in card
    assert "| the same of the worst of them | 0.499995 |" in card
    assert _made(noise=0.0).certificate is None
    assert _made(noise=0.0).guarantee.figures == {}
