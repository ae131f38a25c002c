"""A peer: features encrypted by `ironcore-alloy`, which keeps distances approximately.

It is scale-and-perturb (Fuchsbauer and others, "Approximate distance-comparison-preserving
symmetric encryption", 2022): noise is added, and a key orders the dimensions anew. One key serves
a whole collection, or nothing could be searched in it.

For evaluation only: `pip install --no-deps ironcore-alloy==0.16.1` (AGPL-3.0-or-later).
"""

from __future__ import annotations

import asyncio
import secrets
from importlib import import_module
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from papers.shufflebits.providers import Extractor
from sfumato.errors import UnavailableError
from sfumato.protect.encrypted import Features
from sfumato.types import KeyedProtector

Images = Float[Tensor, "n c h w"]
_PATH = "features"  # one secret, one tenant and one derivation: as of one collection


class AlloyFeatures(KeyedProtector):
    """Releases a backbone's features under one key, which it draws when it is made.

    `factor` is the library's approximation factor, which sets how much noise is added; for
    features in [0, 1] the library asks for 1 at least.

    Raises:
        UnavailableError: `ironcore-alloy` is not installed.
    """

    def __init__(self, backbone: Extractor, *, factor: float) -> None:
        self._library = _alloy()
        self.backbone, self.factor = backbone, factor
        self._client = self._of(factor)

    @property
    def name(self) -> str:
        """The library, its factor, and the features."""
        return f"alloy:{self.factor:g}:{self.backbone.name}"

    def plain(self, images: Images) -> Float[Tensor, "n d"]:
        """Return what is inside: public, as the extractor is."""
        return Features(self.backbone).release(images)

    def release(self, images: Images) -> Float[Tensor, "n d"]:
        """Return encrypted features."""
        rows = self.plain(images)
        return asyncio.run(self._encrypted(rows)) if len(rows) else rows

    def _of(self, factor: float) -> Any:  # noqa: ANN401 - the library has no types
        alloy = self._library
        drawn = alloy.StandaloneSecret(1, alloy.Secret(secrets.token_bytes(32)))
        vector = alloy.VectorSecret(factor, alloy.RotatableSecret(drawn, None))
        none = alloy.StandardSecrets(None, [])
        return alloy.Standalone(alloy.StandaloneConfiguration(none, {}, {_PATH: vector}))

    async def _encrypted(self, rows: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
        alloy = self._library
        asked = {
            str(i): alloy.PlaintextVector(
                plaintext_vector=row, secret_path=_PATH, derivation_path=_PATH
            )
            for i, row in enumerate(rows.tolist())
        }
        owner = alloy.AlloyMetadata.new_simple(_PATH)
        found = (await self._client.vector().encrypt_batch(asked, owner)).successes
        return torch.tensor([found[str(i)].encrypted_vector for i in range(len(rows))])


def _alloy() -> Any:  # noqa: ANN401 - a module
    try:
        return import_module("ironcore_alloy")
    except ImportError as error:
        raise UnavailableError(
            "the recipe `peer` needs ironcore-alloy, for evaluation only: "
            "pip install --no-deps ironcore-alloy==0.16.1"
        ) from error
