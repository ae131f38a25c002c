"""Labels that leave along with a release: an adversary reads them, too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from sfumato.attack.tools.table import class_table
from sfumato.errors import DataError
from sfumato.types import Labels


@dataclass(frozen=True, slots=True)
class Known:
    """How known labels are joined to the rows that a learner takes: one number a class."""

    sizes: Mapping[str, int]
    """Classes of each label."""

    @classmethod
    def of(cls, names: Sequence[str], labels: Labels) -> Known:
        """Count the classes among the adversary's own labels.

        Raises:
            DataError: the adversary has no such label.
        """
        for name in names:
            if name not in labels:
                have = ", ".join(sorted(labels)) or "none"
                raise DataError(f"the adversary has no label {name!r} to know; there is: {have}")
        return cls({name: int(labels[name].max()) + 1 for name in names})

    def joined(self, rows: Float[Tensor, "n *shape"], labels: Labels) -> Float[Tensor, "n *wider"]:
        """Return rows with 1 for each known class and 0 for others, as planes or as columns.

        A value that the adversary has never seen is 0 everywhere.
        """
        if not self.sizes:
            return rows
        columns = self.columns(labels)
        if rows.ndim == 4:
            planes = columns[:, :, None, None].expand(-1, -1, *rows.shape[2:])
            return torch.cat([rows, planes], 1)
        return torch.cat([rows.flatten(1), columns], 1)

    def columns(self, labels: Labels) -> Float[Tensor, "n columns"]:
        """Return the known labels alone, a column a class."""
        parts = [
            (labels[name][:, None] == torch.arange(size)).float()
            for name, size in self.sizes.items()
        ]
        return torch.cat(parts, 1)

    def alone(
        self,
        own: Mapping[str, Int64[Tensor, "n"]],
        hidden: Mapping[str, Int64[Tensor, "m"]],
        name: str,
    ) -> Float[Tensor, "m classes"]:
        """Return log-probabilities of the victims' `name` from their known labels, no release.

        This is the floor of an attack that reads the labels along with the releases.
        """
        rows = torch.cat([self.columns(own), self.columns(hidden)])
        index = rows.unique(dim=0, return_inverse=True)[1]
        border, size = len(own[name]), int(index.max()) + 1
        table = class_table(index[:border], own[name], size, int(own[name].max()) + 1, 1.0)
        return table[index[border:]]
