from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from sfumato.fit import one_cycle


@given(st.integers(1, 30), st.floats(1e-5, 1.0))
def test_the_rate_rises_to_its_highest_and_ends_at_nothing(epochs: int, lr: float) -> None:
    net = nn.Linear(2, 1)
    optimizer, schedule = one_cycle(net, lr=lr, epochs=epochs, weight_decay=0.0)
    rates = [schedule.get_last_lr()[0]]
    for _ in range(epochs):
        optimizer.step()
        schedule.step()
        rates.append(schedule.get_last_lr()[0])
    assert max(rates) <= lr * (1 + 1e-9)
    assert rates[0] < lr
    assert rates[-1] < lr * 1e-3
    peak = rates.index(max(rates))
    assert rates[: peak + 1] == sorted(rates[: peak + 1])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)


def test_weights_shrink_where_they_should() -> None:
    net = nn.Linear(2, 1, bias=False)
    nn.init.ones_(net.weight)
    optimizer, _ = one_cycle(net, lr=0.1, epochs=1, weight_decay=0.5)
    net.weight.grad = torch.zeros_like(net.weight)
    optimizer.step()
    assert bool((net.weight < 1).all())
