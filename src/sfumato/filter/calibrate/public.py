"""The features of a public source's pictures, with the person that each one shows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from jaxtyping import Float, Int64
from torch import Tensor

from sfumato.data.lazy import FolderImages, LoadedImages
from sfumato.data.leftout import LeftOut
from sfumato.errors import ConfigError
from sfumato.features.augmentation import Augmentation
from sfumato.features.backbone import Backbone
from sfumato.features.picture import extracted, only_crop
from sfumato.features.views import ViewDraws, stacked_views
from sfumato.filter.calibrate.config import CalibrationConfig
from sfumato.filter.calibrate.people import draw_parts, thinned


@dataclass(frozen=True, slots=True, kw_only=True)
class Public:
    """Rows of features in [0, 1], and the person, a position among the label's values, of each."""

    name: str
    label: str
    features: Float[Tensor, "n d"]
    who: Int64[Tensor, " n"]
    left_out: tuple[LeftOut, ...] = ()
    """Pictures that have no feature, each with the reason."""
    views: Callable[[Int64[Tensor, " k"], int], Float[Tensor, "k v d"]] | None = None
    """Features of the views that a device with these rows' pictures trains on, from a seed. None
    where it trains on the pictures themselves."""


def read_public(
    backbone: Backbone,
    images: LoadedImages | FolderImages,
    label: str | None,
    config: CalibrationConfig,
    *,
    augmentation: Augmentation | None = None,
    enroll: bool = True,
) -> Public:
    """Return features as uploads have them: whole pictures, one at a time.

    `label` names the people (or classes) of the source; it may be left out where there is one.
    With `enroll` some of them have to be able to enroll, and with an `augmentation` on views.

    Raises:
        ConfigError: the source has several labels, or none, and `label` is not given; the
            backbone's scaler was never fitted.
        DataError: there is no such label, people or pictures are too few, or none is usable.
    """
    chosen = label or _only_label(images)
    everyone = images.label(chosen)
    draw_parts(everyone, config, enroll=enroll)  # too few people: it says so before long work
    found = extracted(backbone, images, thinned(everyone, config).tolist())
    positions = [row.position for row in found.rows]

    def views(chosen: Int64[Tensor, " k"], seed: int) -> Float[Tensor, "k v d"]:
        # Read again: all pictures would not stay in memory, and few people enroll.
        drawn = ViewDraws(backbone, augmentation, len(chosen), seed=seed)
        read = images.read([positions[row] for row in chosen.tolist()]).pictures
        stacked = stacked_views([drawn.of(only_crop(backbone, one.pixels)) for one in read])
        assert stacked is not None  # noqa: S101 - there is an augmentation
        return stacked

    return Public(
        name=images.name,
        label=chosen,
        features=found.features,
        who=everyone[positions],
        left_out=found.left_out,
        views=None if augmentation is None else views,
    )


def _only_label(images: LoadedImages | FolderImages) -> str:
    names = sorted(images.classes)
    if len(names) != 1:
        raise ConfigError(
            f"expected `label`, the one that says whom a picture of {images.name} shows; "
            f"it has the labels {', '.join(names)}"
            if names
            else f"{images.name} has no labels: put the pictures of each person in one folder"
        )
    return names[0]
