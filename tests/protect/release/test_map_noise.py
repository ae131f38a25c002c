"""A picture has one noise: however, wherever and however often it is released."""

from __future__ import annotations

import json
import os
import stat
from dataclasses import replace
from multiprocessing.pool import ThreadPool
from pathlib import Path

import pytest
import torch
from torch import Tensor

from sfumato.data.imageset import ImageSet
from sfumato.data.lazy import LoadedImages
from sfumato.device import resolve_device
from sfumato.errors import FormatError, InputError
from sfumato.protect.obfuscator.model import Obfuscator
from sfumato.protect.release.map_noise import key_beside, map_noise, noise_key
from sfumato.protect.release.maps import open_maps, write_maps
from sfumato.protect.release.noise import fresh_secret
from tests.protect.release import make_noise_vector as vector

_SECRET = bytes(range(32))
_MAKER = "ab" * 32


def _pictures(count: int = 24) -> ImageSet:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (count, 1, 32, 32), dtype=torch.uint8, generator=generator)
    labels = {"number": torch.arange(count)}
    classes = {"number": tuple(map(str, range(count)))}
    return ImageSet(name="made", images=images, labels=labels, classes=classes)


def _obfuscator(seed: int = 0) -> Obfuscator:
    torch.manual_seed(seed)
    made = Obfuscator(
        channels=1, height=32, width=32, utility="mood", classes=["a", "b"], scale=0.07,
        map_channels=3,
    ).eval()  # fmt: skip
    made.step.fill_(0.05)
    return made


def _released(images: ImageSet, out: Path, *, secret: bytes = _SECRET, batch: int = 7) -> Tensor:
    """Return the maps in the order of the pictures."""
    write_maps(
        _obfuscator(), LoadedImages(images), out, secret=secret, labels=["number"], batch_size=batch
    )
    read = open_maps(out)
    return read.maps[read.labels["number"].argsort()]


def test_released_again_a_picture_gives_the_same_map(tmp_path: Path) -> None:
    images = _pictures()
    first = _released(images, tmp_path / "a")
    torch.manual_seed(5)
    assert torch.equal(_released(images, tmp_path / "b", batch=1), first)
    some = replace(images, images=images.images[[3, 9]], labels={"number": torch.tensor([3, 9])})
    assert torch.equal(_released(some, tmp_path / "c"), first[[3, 9]]), "among other pictures"
    assert not torch.equal(_released(images, tmp_path / "d", secret=fresh_secret()), first)


def test_nothing_is_averaged_away(tmp_path: Path) -> None:
    """Eight releases under one key say what one says; under eight, noise shrinks to a third."""
    images = _pictures()
    with torch.no_grad():
        truth = _obfuscator().means(images.floats())
    step = _obfuscator().step

    def error(same: bool) -> float:
        released = [
            _released(images, tmp_path / f"{same}{i}", secret=_SECRET if same else fresh_secret())
            for i in range(8)
        ]
        mean = torch.stack([maps.float() * step for maps in released]).mean(0)
        return float((mean - truth).square().mean().sqrt())

    assert error(same=True) > 0.9
    assert error(same=False) < 0.45


def test_a_picture_twice_in_a_collection_has_one_noise(tmp_path: Path) -> None:
    images = _pictures(4)
    twice = replace(images, images=images.images[[0, 1, 0, 2]])
    maps = _released(twice, tmp_path / "out")
    assert torch.equal(maps[0], maps[2])
    assert not torch.equal(maps[0], maps[1])


def test_noise_depends_on_every_pixel_the_maker_and_the_secret() -> None:
    picture = torch.zeros(3, 8, 8, dtype=torch.uint8)
    noise = map_noise(_SECRET, _MAKER, picture, (16, 4, 4)).flatten()
    changed = picture.clone()
    changed[2, 7, 7] = 1
    others = [
        map_noise(_SECRET, _MAKER, changed, (16, 4, 4)),
        map_noise(_SECRET, _MAKER, picture.view(3, 4, 16), (16, 4, 4)),
        map_noise(_SECRET, "cd" * 32, picture, (16, 4, 4)),
        map_noise(bytes(reversed(_SECRET)), _MAKER, picture, (16, 4, 4)),
    ]
    for other in others:
        assert abs(float(torch.corrcoef(torch.stack([noise, other.flatten()]))[0, 1])) < 0.25


def test_it_is_normal() -> None:
    picture = torch.zeros(1, 8, 8, dtype=torch.uint8)
    noise = map_noise(_SECRET, _MAKER, picture, (128, 40, 40)).flatten().double()
    assert abs(float(noise.mean())) < 0.01
    assert abs(float(noise.std()) - 1) < 0.01
    assert abs(float((noise.abs() < 0.6745).double().mean()) - 0.5) < 0.005
    assert 4 < float(noise.abs().max()) < 8.3


def test_a_card_adds_the_same_noise(card: str) -> None:
    made, images = _obfuscator(), _pictures()
    noise = torch.cat([map_noise(_SECRET, _MAKER, one, made.map_shape) for one in images.images])
    here = made.release_with(images.floats(), noise)
    there = made.to(resolve_device(card)).release_with(images.floats(), noise)
    assert there.device.type == "cpu"
    assert int((there.int() - here.int()).abs().max()) <= 1


def test_another_program_computes_the_same_noise() -> None:
    frozen = json.loads((vector.HERE / "map-noise.json").read_text())
    assert vector.document() == frozen, "the second implementation, without torch"
    for case in frozen:
        pixels = torch.tensor(case["pixels"], dtype=torch.uint8).view(*case["size"])
        secret, shape = bytes.fromhex(case["secret"]), tuple(case["shape"])
        found = map_noise(secret, case["maker"], pixels, shape)
        wanted = torch.tensor(case["noise"]).view(1, *shape)
        torch.testing.assert_close(found, wanted, atol=1e-6, rtol=1e-6)


def test_a_key_is_written_once_for_its_owner_alone_and_beside_what_is_handed_on(
    tmp_path: Path,
) -> None:
    path = key_beside(tmp_path / "maps.of.digits")
    assert path == tmp_path / "maps.of.digits.noise-key"
    first = noise_key(path)
    assert noise_key(path) == first
    assert noise_key(tmp_path / "other") != first
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert sorted(os.listdir(tmp_path)) == ["maps.of.digits.noise-key", "other"]


def test_whoever_comes_second_takes_the_first_key(tmp_path: Path) -> None:
    with ThreadPool(8) as pool:
        found = pool.map(noise_key, [tmp_path / "key"] * 8)
    assert len(set(found)) == 1


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"sfumato-noise-key-1 ",
        b"sfumato-noise-key-1 " + b"0" * 63 + b"\n",
        b"sfumato-noise-key-2 " + b"0" * 64 + b"\n",
        b"sfumato-noise-key-1 " + b"g" * 64 + b"\n",
        b"sfumato-noise-key-1 " + b"0" * 66 + b"\n",
        b"\xff" * 85,
    ],
)
def test_what_is_no_key_is_refused_and_kept(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "key").write_bytes(content)
    with pytest.raises(FormatError, match="expected a noise key"):
        noise_key(tmp_path / "key")
    assert (tmp_path / "key").read_bytes() == content


def test_a_key_that_cannot_be_kept_ends_the_release(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(InputError, match="name another place by `noise_key`"):
        noise_key(tmp_path / "file" / "key")
