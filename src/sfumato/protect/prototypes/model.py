"""An anonymiser whose releases are a few fixed pictures, each a mean over many people.

A release that takes P values carries at most log P nats, whoever looks at it, and of the private
label the mutual information of eq. (5), which is then counted and not estimated
(`anonymizer_losses.mutual_information`). Two rules hold by construction. Each picture is a mean of
k different pictures of p private values at least (`prototypes_anonymity`). And a collection is
released as a whole, so that everybody uses the pictures in the same proportions
(`prototypes_plan`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, cast

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from sfumato.data.pixels import as_uint8, digests
from sfumato.errors import ArtifactError, DataError
from sfumato.nets.autoencoders import PrototypeMatcher
from sfumato.protect.anonymizer.shared import Hiding
from sfumato.protect.prototypes.anonymity import Seen, check_standing
from sfumato.protect.prototypes.distance import nearest_original
from sfumato.protect.prototypes.release import Plan, PlannedRelease, plan_collection
from sfumato.protect.prototypes.rule import Anonymity
from sfumato.types import CollectionProtector, Guarantee, Labels

Images = Float[Tensor, "n c h w"]
_FIGURES = {
    "released": "different pictures that can be released",
    "fewest_pictures": "originals behind a released picture, at least",
    "k": "originals behind it, as asked for (k)",
    "fewest_values": "private values behind a released picture, at least",
    "values": "private values behind it, as asked for (p)",
    "largest_share": "share of one private value among them, at most",
    "share": "largest share of one private value, as allowed",
    "nearest_original": "distance to the nearest original, at least (root mean square, 0 to 1)",
    "closest_allowed": "smallest distance, as allowed",
}
"""What a report and a card call each figure of a standing."""


class PrototypeAnonymizer(Hiding, CollectionProtector):
    """Releases, for each image, the picture of the prototype that it is most similar to.

    `release` and `forward` look at one picture at a time: use them to look at pictures, and
    `for_collection` for what leaves its owner. `standing` is what the pictures were counted to
    stand for when they were made (`prototypes_pictures.settle_pictures`), as JSON values, and
    `rule` what each record of every release has to.

    Shapes: images `(n, channels, height, width)` in [0, 1], to the same.
    """

    kind: ClassVar[str] = "prototypes"
    pictures: Tensor

    def __init__(
        self,
        *,
        channels: int,
        height: int,
        width: int,
        hides: str,
        prototypes: int,
        features: int = 32,
        dim: int = 128,
        target: str | None = None,
        standing: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(channels=channels, height=height, width=width, hides=hides, target=target)
        self.standing = standing
        self.rule = Anonymity() if standing is None else check_standing(standing)
        self.matcher = PrototypeMatcher(channels, prototypes, width=features, dim=dim)
        self.register_buffer("pictures", torch.zeros(prototypes, channels, height, width))

    @property
    def name(self) -> str:
        """Kind, number of prototypes, and the identity that releases look like."""
        target = "" if self.target is None else f":{self.target}"
        return f"{self.kind}:{len(self.pictures)}{target}"

    @classmethod
    def _from_pretrained(
        cls,
        *,
        model_id: str,
        map_location: str = "cpu",
        strict: bool = True,
        **kwargs: Any,  # noqa: ANN401
    ) -> PrototypeAnonymizer:
        """Read an artifact; one whose pictures nobody counted is refused.

        Raises:
            ArtifactError: it is no artifact, or was fitted by version 0.1.
        """
        if kwargs.get("standing") is None:
            raise ArtifactError(
                f"{model_id} was fitted by version 0.1, whose pictures may be originals; fit it "
                "anew, and replace what was released by it"
            )
        made = super()._from_pretrained(
            model_id=model_id, map_location=map_location, strict=strict, **kwargs
        )
        return cast("PrototypeAnonymizer", made)

    @property
    def guarantee(self) -> Guarantee:
        """What the pictures were counted to stand for; with a target, that they are real ones."""
        found = self.standing or {}
        return Guarantee(
            figures={
                words: float(found[name]) for name, words in _FIGURES.items() if name in found
            },
            originals=self.real_pictures if self.target is not None else "",
        )

    @torch.no_grad()
    def similarities(self, images: Images) -> Float[Tensor, "n prototypes"]:
        """Return the cosine similarity of each image to each prototype, in evaluation mode."""
        training = self.training
        self.eval()
        device = self.pictures.device
        parts = [self.matcher(part.to(device)).cpu() for part in images.split(self.batch_size)]
        self.train(training)
        return torch.cat(parts)

    def assign(self, images: Images) -> Int64[Tensor, "n"]:
        """Return which prototype stands for each image."""
        return self.similarities(images).argmax(1)

    def plan(
        self,
        similar: Float[Tensor, "n prototypes"],
        counted: Bool[Tensor, "n"],
        nearest: Float[Tensor, "prototypes"],
        labels: Labels,
        classes: Mapping[str, Sequence[str]],
        *,
        kept: Sequence[str],
        generator: torch.Generator,
    ) -> Plan:
        """Plan the release of a collection whose `similarities` are known: `plan_collection`.

        `nearest` is each prototype's distance to the nearest picture of this collection: what is
        too near to one is not released, unless real pictures are released on purpose.

        Raises:
            DataError: the collection cannot keep the rule, or lacks the private label.
        """
        found = self.standing or {"closest_allowed": 0.0, "real_pictures": False}
        far = nearest >= found["closest_allowed"]
        if not bool(far.any()) and not found["real_pictures"]:
            raise DataError(
                f"{self.name}: every prototype is nearer than {found['closest_allowed']:.3f} (root "
                "mean square) to a picture of this collection; fit an anonymiser on it"
            )
        return plan_collection(
            similar,
            counted,
            labels,
            classes,
            hides=self.hides,
            kept=kept,
            rule=self.rule,
            allowed=torch.ones_like(far) if found["real_pictures"] else far,
            generator=generator,
        )

    def for_collection(
        self,
        images: Images,
        labels: Labels,
        classes: Mapping[str, Sequence[str]],
        *,
        kept: Sequence[str] = (),
        seed: int = 0,
    ) -> PlannedRelease:
        """Return the protector that releases this collection as `sfumato release` would.

        Raises:
            DataError: the collection cannot keep the rule, or lacks the private label.
        """
        found = self.plan(
            self.similarities(images),
            Seen().first(images),
            nearest_original(self.pictures, images),
            labels,
            classes,
            kept=kept,
            generator=torch.Generator().manual_seed(seed),
        )
        return PlannedRelease.of(found, digests(as_uint8(images)), self.pictures.cpu(), self)

    def with_pictures(
        self, kept: Int64[Tensor, "m"], pictures: Float[Tensor, "m c h w"], about: dict[str, Any]
    ) -> PrototypeAnonymizer:
        """Return an anonymiser with only the `kept` prototypes, their pictures and `about` them."""
        channels, height, width = self.shape
        encoder = self.matcher.encoder
        made = PrototypeAnonymizer(
            channels=channels, height=height, width=width, hides=self.hides, target=self.target,
            prototypes=len(kept), features=encoder.width, dim=encoder.dim, standing=about,
        )  # fmt: skip
        made.matcher.encoder.load_state_dict(encoder.state_dict())
        with torch.no_grad():
            made.matcher.prototypes.copy_(self.matcher.prototypes[kept])
        made.pictures.copy_(pictures)
        return made.to(self.pictures.device).eval()

    def forward(self, images: Images) -> Images:
        """Return what is released."""
        return self.pictures[self.matcher(images).argmax(1)]
