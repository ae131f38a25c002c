"""Fresh networks read labels off releases: what is left is read, what is gone is not."""

from __future__ import annotations

import torch

from sfumato.attack.tools.assess import Parts, read_labels
from sfumato.attack.tools.learners import LearnerConfig
from sfumato.data.imageset import ImageSet
from sfumato.types import Protector


class TopOnly(Protector):
    """Keeps the upper half of a picture."""

    name = "top"

    def release(self, images: torch.Tensor) -> torch.Tensor:
        return images * (torch.arange(images.shape[2]) < images.shape[2] // 2)[:, None]


def test_a_label_is_read_where_the_release_keeps_it_and_guessed_where_it_does_not() -> None:
    def part(count: int, seed: int) -> ImageSet:
        draw = torch.Generator().manual_seed(seed)
        top, bottom = (torch.randint(2, (count,), generator=draw) for _ in range(2))
        pictures = torch.full((count, 1, 8, 8), 60, dtype=torch.uint8)
        pictures[:, :, :4] += (120 * top[:, None, None, None]).to(torch.uint8)
        pictures[:, :, 4:] += (120 * bottom[:, None, None, None]).to(torch.uint8)
        return ImageSet(
            name="halves",
            images=pictures,
            labels={"top": top, "bottom": bottom},
            classes={"top": ("dark", "light"), "bottom": ("dark", "light")},
        )

    parts = Parts(part(300, 0), part(100, 1), part(200, 2))
    tries = {
        key: [LearnerConfig(learners=("perceptron",), restarts=1, epochs=8)]
        for key in ("top", "bottom")
    }
    right = {
        label: float(r.float().mean())
        for label, r in read_labels(TopOnly(), parts, tries, seed=0).items()
    }
    assert right["top"] > 0.95
    assert 0.3 < right["bottom"] < 0.7
