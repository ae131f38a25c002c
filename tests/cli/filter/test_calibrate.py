"""`sfumato filter calibrate`, as a provider runs it on a folder of public pictures."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from sfumato.data.decoding.decode import encode_png
from sfumato.errors import BankError
from sfumato.features.backbone import Backbone, open_backbone
from sfumato.filter.oneclass import OneClassConfig
from tests.cli.filter.test_root import line, run
from tests.serve.world import World

QUICK = ("--people", 10, "--pictures", 4, "--uploads", 2)
PICTURES = 9


def album(folder: Path, people: int, *, grain: int = 3) -> Path:
    """Write 8x8 pictures: a pattern a person, of so many patches a side, with noise."""
    generator = torch.Generator().manual_seed(0)
    for person in range(people):
        (folder / f"p{person:03}").mkdir(parents=True)
        coarse = torch.rand(1, 1, grain, grain, generator=generator)
        pattern = 40 + 170 * F.interpolate(coarse, (8, 8), mode="bilinear")[0]
        for number in range(PICTURES):
            pixels = pattern + 12 * torch.randn(1, 8, 8, generator=generator)
            png = encode_png(pixels.clamp(0, 255).to(torch.uint8))
            (folder / f"p{person:03}" / f"{number}.png").write_bytes(png)
    return folder


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return album(tmp_path_factory.mktemp("public") / "faces", 110)


@pytest.fixture
def backbone(tmp_path: Path) -> Path:
    open_backbone("raw:1x8x8").save(tmp_path / "public.backbone")
    return tmp_path / "public.backbone"


@pytest.mark.slow
def test_a_backbone_gets_its_policy_in_place(
    faces: Path, backbone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = Backbone.load(backbone)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    # Of an option that is written --backbone=~/FILE no shell expands the home folder.
    words = ("calibrate", f"--backbone=~/{backbone.name}", "--public", f"folder:{faces}", *QUICK)
    found = line(*words, "--false-blocks", 0.02)
    assert not [*Path().iterdir()]
    policy = Backbone.load(backbone).policy
    assert policy is not None
    assert Backbone.load(backbone).fingerprint == before.fingerprint
    assert len(policy.cohort) == 100 * PICTURES == found["policy"]["cohort"]
    assert {**policy.document(), "cohort": 900} == found["policy"]
    assert policy.false_blocks == 0.02
    assert (found["enrolled"], found["pictures"]) == (10, 4)
    whole = next(size for size in found["sizes"] if size["enrollments"] == 10)
    asked = next(rates for rates in whole["calibrated"] if rates["promise"] == 0.02)
    assert asked["blocked"] > 0.7
    assert [rates["alpha"] for rates in whole["paper"]] == [1, 2, 3]
    assert any("coarse" in said for said in found["warnings"])
    assert not any("does not tell" in said for said in found["warnings"])
    charts = Path(found["plot"])
    assert charts == backbone.with_suffix(".calibration.html")
    assert "the paper's interval, alpha 2" in charts.read_text()


@pytest.mark.slow
def test_what_is_printed_says_what_a_bank_does_now(
    faces: Path, backbone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = OneClassConfig(least_steps=60)  # what is printed here depends on no training
    monkeypatch.setattr("sfumato.filter.calibrate.measure.OneClassConfig", lambda: quick)
    out, plot = tmp_path / "other.backbone", tmp_path / "charts.html"
    done = run(
        "calibrate", "--backbone", backbone, "--public", f"folder:{faces}", *QUICK, "-o", out,
        "--plot", plot,
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "At most 1 % of strangers' uploads are blocked, at any number of" in done.stdout
    assert "with 10 people enrolled with 4 pictures each" in done.stdout
    assert "1,000,000*" in done.stdout
    assert "alpha 3" in done.stdout
    assert "warning: the limits rest on 900 public pictures" in done.stderr
    assert Backbone.load(backbone).policy is None
    assert Backbone.load(out).policy is not None
    assert plot.is_file()


@pytest.mark.slow
def test_an_extractor_that_cannot_tell_people_apart_is_called_so(tmp_path: Path) -> None:
    faces = album(tmp_path / "rough", 80, grain=8)
    blind = tmp_path / "blind.backbone"
    open_backbone("raw:1x1x1").save(blind)
    found = line(
        "calibrate", "--backbone", blind, "--public", f"folder:{faces}", *QUICK, "--people", 20
    )
    assert any("does not tell these people apart" in said for said in found["warnings"])


def test_a_banks_own_enrollments_are_tried(
    world: World, faces: Path, backbone: Path, tmp_path: Path
) -> None:
    bank = tmp_path / "my.bank"
    for digit, content in world.enrollments.items():
        (tmp_path / f"{digit}.enrollment").write_bytes(content)
        line(
            "bank", "add", tmp_path / f"{digit}.enrollment", "--db", bank, "--account", f"u{digit}"
        )
    words = ("calibrate", "--backbone", backbone, "--public", f"folder:{faces}", "--db", bank)
    found = line(*words)
    assert found["enrolled"] == 3
    assert found["policy"]["contested"] == 0.9
    assert found["attackers_found"] is None
    assert {rates["blocked"] for size in found["sizes"] for rates in size["calibrated"]} == {None}
    other = tmp_path / "other.backbone"
    open_backbone("raw:1x4x4").save(other)
    refused = run(*(other if word is backbone else word for word in words))
    assert isinstance(refused.exception, BankError)
    assert "give its own --backbone" in str(refused.exception)


def test_a_source_that_cannot_do_is_refused_before_anything_is_written(
    world: World, backbone: Path, tmp_path: Path
) -> None:
    kept = backbone.read_bytes()
    few = album(tmp_path / "few", 12)
    words = ("calibrate", "--backbone", backbone, "--public")
    refused = [
        (run(*words, f"folder:{few}"), "at least 40 people"),
        (run(*words, "characters:12", "--count", 60), "expected `label`, the one that says whom"),
        (run(*words, f"folder:{few}", "--label", "who"), "has no label 'who'; it has: class"),
        (run(*words, f"folder:{few}", "--people", 2), "`people` must be at least 10, got 2"),
        (run(*words, f"folder:{few}", "--db", tmp_path / "no.bank"), "no database at"),
    ]
    for done, message in refused:
        assert message in str(done.exception)
    assert backbone.read_bytes() == kept
    assert not backbone.with_suffix(".calibration.html").exists()
