"""A stolen picture is blocked in whatever frame, reading or turn of a file it is shown."""

from __future__ import annotations

import io
import json
import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from sfumato.cli.main import app
from sfumato.data.decoding.decode import ImageLimits, decode_views
from sfumato.data.sources import load
from sfumato.errors import ImageError
from sfumato.serve.local import add_files, judging
from sfumato.serve.pictures.extract import see
from tests.data.decoding.viewer_animations import apng
from tests.data.decoding.viewer_files import chunk, exif, iccp, png, raw_profile_chunk, xmp_chunk
from tests.data.decoding.viewer_profiles import rgb_matrix
from tests.serve.conftest import Start, bearer
from tests.serve.test_copies import enrolled
from tests.serve.world import World


def digit(world: World, label: int, index: int) -> Image.Image:
    return Image.fromarray(world.images[label][index, 0].numpy())


def file(pictures: list[Image.Image], kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    first, *others = pictures
    first.save(buffer, kind, save_all=True, append_images=others, **options)
    return buffer.getvalue()


ANIMATED = {
    "GIF": {"duration": 80},
    "PNG": {"duration": 80},
    "WEBP": {"duration": 80, "lossless": True},
    "TIFF": {},
    "PNG with a hidden still": {"duration": 80, "default_image": True},
}


def bank_of(world: World, folder: Path, label: int) -> str:
    mine = folder / "ada.enrollment"
    mine.write_bytes(world.enrollments[label])
    add_files(str(folder / "a.bank"), [mine], "ada")
    return str(folder / "a.bank")


@pytest.fixture
def bank(world: World, tmp_path: Path) -> str:
    """A bank in which ada enrolled her noughts."""
    return bank_of(world, tmp_path, 0)


def judged(world: World, bank: str, content: bytes, owner: str | None = None) -> tuple[str, object]:
    path = Path(bank).with_name("upload")
    path.write_bytes(content)
    with judging(bank, world.backbone_file, owner) as judge:
        found = judge(path)
    return found.verdict, found.frame


@pytest.mark.parametrize("name", ANIMATED)
@pytest.mark.parametrize("place", [0, 1, 3])
def test_any_frame_blocks_and_is_named(world: World, bank: str, name: str, place: int) -> None:
    others = [digit(world, 8, i) for i in range(4)]
    with_one = [*others[:place], digit(world, 0, 130), *others[place:]]
    kind, options = name.split()[0], ANIMATED[name]
    assert judged(world, bank, file(others, kind, **options))[0] == "share"
    assert judged(world, bank, file(with_one, kind, **options)) == ("block", place + 1)
    assert judged(world, bank, file(with_one, kind, **options), "ada")[0] == "share"
    assert judged(world, bank, world.png(0, 130)) == ("block", None)


def test_the_service_judges_every_frame_and_its_log_names_it(
    start: Start, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    client, service = start()
    ada, eve = bearer(service, "ada"), bearer(service, "eve")
    client.post("/v1/enrollments", content=world.enrollments[0], headers=ada)
    others = [digit(world, 8, i) for i in range(3)]
    moving = file([*others, digit(world, 0, 130)], "GIF", duration=80)
    with caplog.at_level(logging.INFO, "sfumato.serve"):
        answer = client.post("/v1/uploads", content=moving, headers=eve).json()
        shared = client.post("/v1/uploads", content=file(others, "GIF"), headers=eve).json()
    assert (answer["decision"], shared["decision"]) == ("block", "share")
    assert any(answer["id"] in m and m.endswith("block, by frame 4") for m in caplog.messages)
    assert client.post("/v1/uploads", content=moving, headers=ada).json()["decision"] == "share"
    assert sum(service.tally.read().values()) == 3  # uploads are counted, not frames


def test_a_copy_in_any_frame_is_blocked(start: Start, world: World) -> None:
    pictures = load("characters", count=4, size=96, seed=3).images
    client, service = start()
    ada, eve = bearer(service, "ada"), bearer(service, "eve")
    client.post("/v1/enrollments", content=enrolled(world, 1, pictures[:1]), headers=ada)
    frames = [Image.fromarray(p.permute(1, 2, 0).numpy()) for p in pictures]
    for chosen, expected in ((frames[1:], "share"), ([*frames[1:], frames[0]], "block")):
        sent = file(chosen, "WEBP", lossless=True, duration=80)
        answer = client.post("/v1/uploads", content=sent, headers=eve)
        assert answer.json()["decision"] == expected


def test_what_only_some_viewers_turn_or_colour_is_judged_both_ways(
    world: World, tmp_path: Path
) -> None:
    bank, stolen = bank_of(world, tmp_path, 6), digit(world, 6, 130)
    turned = stolen.transpose(Image.Transpose.ROTATE_90)
    values = np.asarray(turned).astype(np.uint16)[:, :, None]
    late = png("grey", 8, values=values, after=[chunk(b"eXIf", exif(6))])
    webp = file([turned], "WEBP", lossless=True, exif=exif(6))
    assert judged(world, bank, file([turned], "PNG"))[0] == "share"
    assert judged(world, bank, late)[0] == judged(world, bank, webp)[0] == "block"
    # Too dark to be known without its profile, which a viewer may ignore, and the other way round.
    dark = 255 * (np.asarray(stolen) / 255) ** 4
    steep = rgb_matrix(((0.64, 0.33), (0.30, 0.60), (0.15, 0.06)), 2.2 / 4)
    hidden = np.repeat(dark.round().astype(np.uint16)[:, :, None], 3, -1)
    plain = np.repeat(np.asarray(stolen).astype(np.uint16)[:, :, None], 3, -1)
    assert judged(world, bank, png("rgb", 8, values=hidden))[0] == "share"
    assert judged(world, bank, png("rgb", 8, values=hidden, before=[iccp(steep)]))[0] == "block"
    assert judged(world, bank, png("rgb", 8, values=plain, before=[iccp(steep)]))[0] == "block"


@pytest.mark.parametrize("orientation", [3, 6])
def test_text_that_claims_an_orientation_hides_no_stolen_picture(
    world: World, bank: str, orientation: int
) -> None:
    """With one text chunk added, 30 stolen digits were blocked 5 times or never, not 29 times."""
    plain, hidden = 0, 0
    for index in range(120, 150):
        values = world.images[0][index].permute(1, 2, 0).numpy().astype(np.uint16)
        plain += judged(world, bank, png("grey", 8, values=values))[0] == "block"
        notes = [xmp_chunk(orientation), raw_profile_chunk(orientation)]
        content = png("grey", 8, values=values, before=notes)
        hidden += judged(world, bank, content)[0] == "block"
    assert plain == hidden > 20


def test_check_says_which_frame(world: World, bank: str, tmp_path: Path) -> None:
    moving = tmp_path / "moving.gif"
    moving.write_bytes(file([digit(world, 8, 0), digit(world, 0, 130)], "GIF", duration=80))
    command = ["filter", "check", str(moving), "--db", bank]
    command += ["--backbone", str(world.backbone_file)]
    assert "block" in (shown := CliRunner().invoke(app, command).stdout)
    assert "frame 2, margin" in shown
    found = json.loads(CliRunner().invoke(app, [*command, "--json"]).stdout.splitlines()[-1])
    assert (found["decision"], found["frame"]) == ("block", 2)


def test_frames_are_counted_before_they_are_decoded(world: World) -> None:
    moving = apng("grey", parts=[(0, 0, 9, 9)] * 12)
    seen = see(world.backbone, decode_views(moving), hashes=False)
    assert seen.frames[0] == 0
    assert len(seen.frames) <= 13
    with pytest.raises(ImageError, match="at most 5 frames"):
        see(world.backbone, decode_views(moving, limits=ImageLimits(max_frames=5)), hashes=False)
    few = ImageLimits(max_moving_pixels=3000)
    with pytest.raises(ImageError, match="at most 3,000 pixels in all frames"):
        see(world.backbone, decode_views(moving, limits=few), hashes=False)


def test_frames_that_are_alike_are_judged_once(world: World) -> None:
    still = digit(world, 0, 3).convert("RGB")
    assert (
        len(see(world.backbone, decode_views(file([still] * 9, "TIFF")), hashes=True).frames) == 1
    )
    assert torch.equal(
        see(world.backbone, decode_views(file([still] * 9, "TIFF")), hashes=False).features,
        see(world.backbone, decode_views(file([still], "PNG")), hashes=False).features,
    )
