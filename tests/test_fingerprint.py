"""Equal content has an equal digest, and nothing that changes a result is left out of it."""

from __future__ import annotations

import functools
import random
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable
from decimal import Decimal
from types import MappingProxyType, SimpleNamespace

import numpy as np
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


class _Slots:
    __slots__ = ("by",)

    def __init__(self, by: float) -> None:
        self.by = by


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
    "an array of NumPy": (lambda: np.zeros(3), lambda: np.ones(3)),
    "an array's type": (lambda: np.zeros(2, "f4"), lambda: np.zeros(1, "f8")),
    "an array's shape": (lambda: np.zeros((2, 3)), lambda: np.zeros((3, 2))),
    "an array of objects": (lambda: np.array(["a", 1], "O"), lambda: np.array(["b", 1], "O")),
    "a protector's array": (
        lambda: SimpleNamespace(kernel=np.zeros(3)),
        lambda: SimpleNamespace(kernel=np.ones(3)),
    ),
    "a number of NumPy": (lambda: np.int64(1), lambda: np.int64(2)),
    "what a partial fixes": (
        lambda: functools.partial(torch.clamp, min=0),
        lambda: functools.partial(torch.clamp, min=0.5),
    ),
    "a slot": (lambda: _Slots(1), lambda: _Slots(2)),
    "a view of a dictionary": (
        lambda: MappingProxyType({"by": 1}),
        lambda: MappingProxyType({"by": 2}),
    ),
    "a deque": (lambda: deque([1]), lambda: deque([2])),
    "a range": (lambda: range(3), lambda: range(4)),
    "a decimal": (lambda: Decimal(1), lambda: Decimal(2)),
    "a seed": (lambda: random.Random(1), lambda: random.Random(2)),
    "a seed of torch": (
        lambda: torch.Generator().manual_seed(1),
        lambda: torch.Generator().manual_seed(2),
    ),
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


def test_what_cannot_be_copied_still_has_a_digest() -> None:
    one, other = (SimpleNamespace(lock=threading.Lock(), by=by) for by in (1, 2))
    assert fingerprint(one) == fingerprint(SimpleNamespace(lock=threading.Lock(), by=1))
    assert fingerprint(one) != fingerprint(other)


def test_another_process_finds_the_same_digest() -> None:
    made = "functools.partial(max, np.arange(3), deque([{'a', 'b'}]), key=Decimal('1.5'))"
    program = (
        "import functools; import numpy as np; from collections import deque; "
        "from decimal import Decimal; from sfumato.fingerprint import fingerprint; "
        f"print(fingerprint({made}))"
    )
    said = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    found = functools.partial(max, np.arange(3), deque([{"a", "b"}]), key=Decimal("1.5"))
    assert said.stdout.strip() == fingerprint(found)
