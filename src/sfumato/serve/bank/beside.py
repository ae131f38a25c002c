"""A bank with one newcomer beside it: screened as if it were in the bank, and never in it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from sfumato.filter.bank.bank import Bank
from sfumato.filter.enrollment import Enrollment


class Beside:
    """A bank and a newcomer: who is there as of now, errors and samples of those still there.

    Make it while nobody changes the bank: ids, mu and sigma must belong together. Later changes
    are allowed; who is erased meanwhile raises the bank's ConfigError (`screening.compare`).
    """

    def __init__(self, bank: Bank, name: str, enrollment: Enrollment) -> None:
        self._bank, self._name = bank, name
        self._newcomer = Bank.empty(bank.dim, bank.hidden, backbone=bank.backbone)
        self._newcomer.add(name, enrollment)
        self.ids: Sequence[str] = (*bank.ids, name)
        self.mu: Float[Tensor, " n"] = torch.cat([bank.mu, self._newcomer.mu])
        self.sigma: Float[Tensor, " n"] = torch.cat([bank.sigma, self._newcomer.sigma])

    def __contains__(self, id_: object) -> bool:
        return id_ == self._name or id_ in self._bank

    def errors(
        self, x: Float[Tensor, "b d"], ids: Sequence[str] | None = None
    ) -> Float[Tensor, "b n"]:
        """Return the errors of the named enrollments, or of all that were there."""
        asked = self.ids if ids is None else ids
        known = [name for name in asked if name != self._name]
        if len(known) == len(asked):
            return self._bank.errors(x, known)
        columns = dict(zip(known, self._bank.errors(x, known).unbind(1), strict=True))
        columns[self._name] = self._newcomer.errors(x)[:, 0]
        return torch.stack([columns[name] for name in asked], 1)

    def samples(self, id_: str, count: int, *, seed: int) -> Float[Tensor, "s d"]:
        """Return decoded samples of one of them."""
        bank = self._newcomer if id_ == self._name else self._bank
        return bank.samples(id_, count, seed=seed)
