from __future__ import annotations

import json
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from torch import Tensor, nn

from sfumato.errors import ArtifactError, DataError, InputError, UnavailableError
from sfumato.protect import pretrained
from sfumato.protect.pretrained import (
    PretrainedProtector,
    check_place,
    is_artifact,
    open_pretrained,
)


class Inverter(PretrainedProtector):
    """Turns grey 4x4 images into a learned mixture of themselves and their negative."""

    kind: ClassVar[str] = "inverter"
    batch_size: ClassVar[int] = 3

    def __init__(self, *, channels: int = 1, private: tuple[str, ...] = ("writer",)) -> None:
        super().__init__()
        self.channels, self._private = channels, tuple(private)
        self.mixture = nn.Parameter(torch.rand(channels, 1, 1))

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.channels, 4, 4

    @property
    def private(self) -> tuple[str, ...]:
        return self._private

    def forward(self, images: Tensor) -> Tensor:
        return self.mixture * images + (1 - self.mixture) * (1 - images)


@pytest.fixture(autouse=True)
def _known(monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = {**pretrained.KINDS, "inverter": f"{__name__}:Inverter"}
    monkeypatch.setattr(pretrained, "KINDS", kinds)


def test_an_artifact_read_back_releases_the_same_bits(tmp_path: Path) -> None:
    made = Inverter(channels=3, private=("writer", "sex"))
    made.save_pretrained(tmp_path / "artifact")
    images = torch.rand(8, 3, 4, 4)
    read = open_pretrained(tmp_path / "artifact")
    assert isinstance(read, Inverter)
    assert read.private == ("writer", "sex")
    assert is_artifact(tmp_path / "artifact")
    torch.testing.assert_close(read.release(images), made.release(images), rtol=0, atol=0)


def test_batches_change_nothing_and_training_mode_is_kept() -> None:
    made = Inverter().train()
    images = torch.rand(7, 1, 4, 4)
    torch.testing.assert_close(made.release(images), made(images).detach())
    assert made.training
    assert not made.release(images).requires_grad


def test_images_of_another_shape_are_refused() -> None:
    with pytest.raises(DataError, match=r"takes images of shape \(1, 4, 4\).*got \(3, 8, 8\)"):
        Inverter().release(torch.rand(2, 3, 8, 8))


def test_the_same_weights_keep_their_card_and_new_ones_lose_it(tmp_path: Path) -> None:
    made = Inverter()
    made.save_pretrained(tmp_path / "a")
    (tmp_path / "a" / "README.md").write_text("audited: leakage 0.1")
    made.save_pretrained(tmp_path / "a")
    assert "audited" in (tmp_path / "a" / "README.md").read_text()
    with torch.no_grad():
        made.mixture += 1
    made.save_pretrained(tmp_path / "a")
    assert "Not audited yet" in (tmp_path / "a" / "README.md").read_text()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a"]


@pytest.mark.parametrize("limit", ["_CONFIG_LIMIT", "_WEIGHTS_LIMIT"])
def test_what_nobody_could_read_is_not_written(
    limit: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "artifact" / ("config.json" if "CONFIG" in limit else "model.safetensors")
    Inverter().save_pretrained(file.parent)
    before = file.read_bytes()
    monkeypatch.setattr(pretrained, limit, len(before))
    Inverter().save_pretrained(file.parent)
    assert open_pretrained(file.parent).name == "inverter"
    before = file.read_bytes()
    monkeypatch.setattr(pretrained, limit, len(before) - 1)
    with pytest.raises(InputError, match=f"expected a {file.name} of at most"):
        Inverter().save_pretrained(file.parent)
    assert file.read_bytes() == before


def test_the_folder_that_a_command_runs_in_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for here in (Path(), Path("new/.."), tmp_path):
        with pytest.raises(InputError, match="the folder that this runs in"):
            check_place(here)
        with pytest.raises(InputError, match="the folder that this runs in"):
            Inverter().save_pretrained(here)
    assert not [*tmp_path.iterdir()]


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match=r"holds other files \(thesis.tex\)"):
        Inverter().save_pretrained(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "toaster"}, "expected a kind of .*got 'toaster'"),
        ({"format": 99}, "format 99"),
        ({"channels": 3}, "is no inverter"),
        ({"channels": "many"}, "is no inverter"),
    ],
)
def test_a_changed_config_is_refused(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    Inverter().save_pretrained(tmp_path / "a")
    path = tmp_path / "a" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ArtifactError, match=message):
        open_pretrained(tmp_path / "a")


@pytest.mark.parametrize("content", [b"", b"[]", b"{" * 5000, b"\xff\xfe"])
def test_a_config_that_is_none_is_refused(tmp_path: Path, content: bytes) -> None:
    Inverter().save_pretrained(tmp_path / "a")
    (tmp_path / "a" / "config.json").write_bytes(content)
    with pytest.raises(ArtifactError):
        open_pretrained(tmp_path / "a")


def test_damaged_weights_are_refused(tmp_path: Path) -> None:
    Inverter().save_pretrained(tmp_path / "a")
    path = tmp_path / "a" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(ArtifactError, match="whole safetensors"):
        open_pretrained(tmp_path / "a")


def test_no_folder_and_no_hub_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UnavailableError, match="is no artifact's folder"):
        open_pretrained(tmp_path / "nothing")
