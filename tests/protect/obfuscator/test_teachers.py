"""Labels by teachers: each picture by the one that did not see it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from sfumato.data.imageset import ImageSet
from sfumato.data.sources import load
from sfumato.data.splits import split_images
from sfumato.errors import ConfigError
from sfumato.protect.obfuscator.config import ObfuscatorConfig
from sfumato.protect.obfuscator.fit import fit_obfuscator
from sfumato.protect.obfuscator.model import Obfuscator
from sfumato.protect.obfuscator.teachers import taught

_CONFIG = ObfuscatorConfig(
    scale=0.07, epochs=2, map_channels=4, batch_size=64, precision="no", device="cpu", teachers=3
)


def test_no_teacher_labels_what_it_saw() -> None:
    images = load("digits", size=32, count=31)
    seen: dict[int, set[bytes]] = {}

    def teach(others: ImageSet, number: int) -> Obfuscator:
        seen[number] = {row.numpy().tobytes() for row in others.images}
        made = Obfuscator(
            channels=1, height=32, width=32, utility="digit", classes=list("0123456789"),
            scale=0.07, map_channels=2,
        ).eval()  # fmt: skip
        with torch.no_grad():  # its number is what it says of everything
            for value in made.classifier.parameters():
                value.zero_()
            made.classifier.head.bias[number] = 50.0
        return made

    told = taught(images, 3, teach, seed=0)
    assert told.shape == (31, 10)
    torch.testing.assert_close(told.sum(1), torch.ones(31))
    for row, number in zip(images.images, told.argmax(1).tolist(), strict=True):
        assert row.numpy().tobytes() not in seen[number]
    assert sorted(told.argmax(1).bincount().tolist()) == [10, 10, 11]
    assert sorted(len(rows) for rows in seen.values()) == [20, 21, 21]


def test_an_interrupted_training_goes_on_with_the_teachers_that_are_done(tmp_path: Path) -> None:
    train, check = split_images(load("digits", size=32, count=160), (0.8, 0.2), seed=0)
    kept = replace(_CONFIG, checkpoint=tmp_path / "training")
    made = fit_obfuscator(train, utility="digit", config=_CONFIG, check=check)
    assert len(made.accuracies) == _CONFIG.epochs, "the teachers' accuracies are their own"
    fit_obfuscator(train, utility="digit", config=kept, check=check)
    found = {path.name for path in tmp_path.iterdir()}
    assert {f"training.teacher{number}" for number in range(3)} <= found
    (tmp_path / "training").unlink()
    again = fit_obfuscator(train, utility="digit", config=kept, check=check)
    images = check.floats()[:5]
    torch.testing.assert_close(made.protector.means(images), again.protector.means(images))
    true = fit_obfuscator(train, utility="digit", config=replace(_CONFIG, teachers=0), check=check)
    assert not torch.equal(made.protector.means(images), true.protector.means(images))


@pytest.mark.parametrize(
    "settings", [{"teachers": 1}, {"teachers": 2, "objective": "psnr"}, {"teachers": 21}]
)
def test_impossible_numbers_of_teachers_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="teachers"):
        ObfuscatorConfig(**settings)  # type: ignore[arg-type]
