"""Equal content has an equal digest, and nothing that changes a result is left out of it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from sfumato.fingerprint import fingerprint
from sfumato.protect.obfuscator.model import Obfuscator


class _Shift(nn.Module):
    """A user's own protector: one number that is no weight."""

    def __init__(self, by: float, inner: float = 0.0) -> None:
        super().__init__()
        self._by = by
        self.net = nn.Sequential(nn.Dropout(0.0))
        self.net[0].extra = inner
        self.register_buffer("table", torch.full((2,), by), persistent=False)

    def release(self, images: Tensor) -> Tensor:
        return images + self._by


def _obfuscator(**settings: object) -> Obfuscator:
    torch.manual_seed(0)
    common = {"channels": 1, "height": 32, "width": 32, "utility": "mood", "scale": 0.07}
    return Obfuscator(**common, classes=["a", "b"], map_channels=3, **settings)  # type: ignore[arg-type]


DIFFERENT: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
    "a plain attribute of a network": (lambda: _Shift(0.1), lambda: _Shift(0.2)),
    "a plain attribute deep inside": (lambda: _Shift(0.1, 1.0), lambda: _Shift(0.1, 2.0)),
    "a setting of an artifact": (
        lambda: _obfuscator(noise=1.0),
        lambda: _obfuscator(noise=0.1),
    ),
    "how an artifact stores": (
        lambda: _obfuscator(stored="int8"),
        lambda: _obfuscator(stored="bf16"),
    ),
    "one number of many": (
        lambda: torch.zeros(5000),
        lambda: torch.eye(5000)[2500],
    ),
    "the order of a list": (lambda: [1, 2], lambda: [2, 1]),
    "a number's type": (lambda: 1, lambda: 1.0),
}


@pytest.mark.parametrize("kind", DIFFERENT)
def test_what_changes_a_result_changes_the_digest(kind: str) -> None:
    one, other = DIFFERENT[kind]
    assert fingerprint(one()) == fingerprint(one())
    assert fingerprint(one()) != fingerprint(other())


def test_training_mode_is_no_content() -> None:
    net = _Shift(0.1)
    before = fingerprint(net)
    assert fingerprint(net.eval()) == before
