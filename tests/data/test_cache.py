"""Decoded pictures are kept by content, whole or not at all, and no reader changes them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from sfumato.data.cache import cache_folder, cached_images, content_key, decode_all
from sfumato.errors import DataError, InputError

SHAPE = (3, 1, 2, 2)


def filler(value: int, calls: list[int]) -> Callable[[NDArray[np.uint8]], None]:
    def fill(target: NDArray[np.uint8]) -> None:
        calls.append(value)
        target[:] = value

    return fill


def test_a_key_is_of_content_settings_and_the_decoders_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, content in (("a", b"1"), ("b", b"1"), ("c", b"2")):
        (tmp_path / name).write_bytes(content)
    a, b, c = (tmp_path / name for name in "abc")
    key = content_key([a], 64, True)
    assert content_key([b], 64, True) == key, "by content, and not by name"
    others = [content_key([c], 64, True), content_key([a, b], 64, True), content_key([a], 65, True)]
    monkeypatch.setattr("sfumato.data.cache._VERSION", 10**6)
    others.append(content_key([a], 64, True))
    assert len({key, *others}) == 5
    with pytest.raises(DataError, match="cannot read"):
        content_key([tmp_path / "none"])


def test_pictures_are_written_once_and_stay_as_they_are(tmp_path: Path) -> None:
    calls: list[int] = []
    first = cached_images("set", "k" * 64, SHAPE, filler(1, calls), cache=tmp_path)
    first += 1  # the tensor alone
    again = cached_images("set", "k" * 64, SHAPE, filler(2, calls), cache=tmp_path)
    assert calls == [1]
    assert again.eq(1).all()
    cached_images("set", "m" * 64, SHAPE, filler(3, calls), cache=tmp_path)
    assert calls == [1, 3]
    (path, _) = sorted((tmp_path / "data").iterdir())
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("damage", ["cut", "empty", "text", "other type", "other shape"])
def test_what_is_not_whole_is_written_anew(tmp_path: Path, damage: str) -> None:
    calls: list[int] = []
    cached_images("set", "k" * 64, SHAPE, filler(1, calls), cache=tmp_path)
    (path,) = (tmp_path / "data").iterdir()
    if damage.startswith("other"):
        kind, shape = (np.uint8, (4, 1, 2, 2)) if damage == "other shape" else (np.int8, SHAPE)
        np.save(path, np.zeros(shape, kind))
    else:
        content = {"cut": path.read_bytes()[:-1], "empty": b"", "text": b"hello"}[damage]
        path.write_bytes(content)
    assert cached_images("set", "k" * 64, SHAPE, filler(2, calls), cache=tmp_path).eq(2).all()
    assert calls == [1, 2]


def test_what_cannot_be_decoded_leaves_nothing(tmp_path: Path) -> None:
    def decode(i: int) -> torch.Tensor:
        if i == 2:
            raise DataError("picture 2 is damaged")
        return torch.full(SHAPE[1:], i, dtype=torch.uint8)

    with pytest.raises(DataError, match="picture 2 is damaged"):
        cached_images("set", "k" * 64, SHAPE, decode_all(decode, 3, "t"), cache=tmp_path)
    assert not list((tmp_path / "data").iterdir())
    whole = cached_images(
        "set", "k" * 64, (2, *SHAPE[1:]), decode_all(decode, 2, "t"), cache=tmp_path
    )
    assert whole[:, 0, 0, 0].tolist() == [0, 1]


def test_where_it_lies_can_be_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SFUMATO_CACHE", str(tmp_path / "named"))
    assert cache_folder(None) == tmp_path / "named"
    assert cache_folder(tmp_path) == tmp_path
    monkeypatch.delenv("SFUMATO_CACHE")
    assert cache_folder(None).name == "sfumato"
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="SFUMATO_CACHE moves it"):
        cached_images("set", "k" * 64, SHAPE, filler(1, []), cache=tmp_path / "file")
