"""A world made a class at a time is the world made at once, and is not made again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from papers.docl.worlds import Pictures, kept_world
from papers.recipe import Run
from papers.stages import Stages
from sfumato.data.sources import load
from sfumato.features.augmentation import Augmentation
from sfumato.features.backbone import open_backbone
from sfumato.filter.oneclass import OneClassConfig


@pytest.mark.parametrize("augmentation", [None, Augmentation(most=3)])
def test_a_kept_world_is_the_same(tmp_path: Path, augmentation: Augmentation | None) -> None:
    digits = load("digits")
    pictures = [digits.where("digit", str(k)).images for k in range(3)]
    things = Pictures(
        open_backbone("raw:1x8x8"), [x[:9] for x in pictures], [x[9:] for x in pictures]
    )
    config = OneClassConfig(augmentation=augmentation)
    run = Run(
        slug="docl", recipe="cifar10", quick=True, seed=4, device="cpu", data_dir=None, out=tmp_path
    )
    stages = Stages.of(run, {})
    made = things.world(config, 6, 5, seed=4)
    first = kept_world(things, config, (6, 5), stages, seed=4)
    nothing = replace(things, train=[x[:0] for x in pictures])
    for world in (first, kept_world(nothing, config, (6, 5), stages, seed=4)):
        assert torch.equal(torch.cat(world.trained), torch.cat(made.trained))
        assert torch.equal(torch.cat(world.train), torch.cat(made.train))
        assert torch.equal(torch.cat(world.tests), torch.cat(made.tests))
        assert (world.views is None) == (augmentation is None)
