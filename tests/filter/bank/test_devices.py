"""A bank on an accelerator says what one on the processor says, and its answers are here."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from sfumato.device import resolve_device
from sfumato.errors import ConfigError, UnavailableError
from sfumato.filter.bank import bank as bank_module
from sfumato.filter.bank.bank import Bank
from sfumato.filter.bank.scoring import SCRATCH, Weights
from sfumato.filter.rule.guard import Sigmas
from tests.filter.bank.test_bank import BACKBONE, features, made

DIM, HIDDEN = 20, 4


def filled(device: str, dtype: torch.dtype) -> Bank:
    bank = Bank.empty(DIM, HIDDEN, backbone=BACKBONE, dtype=dtype, reach=0.5, device=device)
    for i in range(30):
        bank.add(f"p{i}", made(DIM, HIDDEN, i))
    for i in (3, 17, 29):
        bank.remove(f"p{i}")
    return bank


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("batch", [1, 5])
def test_it_scores_as_on_the_processor(
    card: str, dtype: torch.dtype, batch: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(bank_module, "SMALL", 0)
    here, there = filled("cpu", dtype), filled(card, dtype)
    kinds = {t.device.type for s in there.segments for t in s.tensors.values()}
    assert kinds == {resolve_device(card).type}
    x = features(batch, DIM)
    limits = Sigmas(here.mu, here.sigma).limits(-1.0)
    pairs = [
        (here.score(x), there.score(x)),
        (here.score(x, ["p9", "p2"]), there.score(x, ["p9", "p2"])),
        (here.score_near(x, limits=limits), there.score_near(x, limits=limits)),
    ]
    for mine, other in pairs:
        assert mine.ids == other.ids
        for name in ("errors", "mu", "sigma", "rows", "listed"):
            found = getattr(other, name)
            assert found.device.type == "cpu"
            torch.testing.assert_close(found, getattr(mine, name), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(there.samples("p5", 3, seed=1), here.samples("p5", 3, seed=1))
    there.save(tmp_path / "bank")
    again = Bank.open(tmp_path / "bank", device=card)
    assert again.device == there.device
    torch.testing.assert_close(again.errors(x), there.errors(x))
    torch.testing.assert_close(Bank.open(tmp_path / "bank").errors(x), there.errors(x))


def test_scratch_memory_there_is_wiped_too(card: str) -> None:
    bank = filled(card, torch.bfloat16)
    bank.errors(features(2, DIM))
    far = {k: t for k, t in vars(SCRATCH).items() if str(resolve_device(card)) in k}
    assert far
    assert not any(bool(tensor.cpu().any()) for tensor in far.values())
    SCRATCH.__dict__.clear()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_an_accelerator_is_given_much_at_once(dtype: torch.dtype) -> None:
    """Pieces that fit a core's cache take it longer to begin than to do."""
    here, there = (
        Weights(
            torch.empty(1, 32, 128, dtype=dtype, device=device),
            torch.empty(1, 32, device=device),
            torch.empty(1, 128, 32, dtype=dtype, device=device),
            torch.empty(1, 128, device=device),
        )
        for device in ("cpu", "meta")
    )
    assert here.most < 1000
    assert there.most > 10_000


def test_a_device_that_is_not_here_is_an_error() -> None:
    with pytest.raises(ConfigError, match="expected a device"):
        Bank.empty(DIM, HIDDEN, backbone=BACKBONE, device="toaster")
    if not torch.cuda.is_available():
        with pytest.raises(UnavailableError, match="cuda"):
            Bank.empty(DIM, HIDDEN, backbone=BACKBONE, device="cuda:7")
