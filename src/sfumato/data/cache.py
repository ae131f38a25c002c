"""Decoded pictures on disk: one memory-mapped array a set, keyed by content, whole or absent."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import platformdirs
import torch
from jaxtyping import UInt8
from numpy.typing import NDArray
from torch import Tensor

from sfumato.errors import DataError, InputError
from sfumato.files import replacing
from sfumato.progress import track

_CHUNK = 2**20
_VERSION = 1  # raise it when decoding changes, so that no old pictures are taken for new ones


def cache_folder(chosen: Path | None) -> Path:
    """Return the chosen folder, else `$SFUMATO_CACHE`, else the user's cache folder."""
    if chosen is not None:
        return chosen
    named = os.environ.get("SFUMATO_CACHE")
    return Path(named) if named else platformdirs.user_cache_path("sfumato")


def content_key(files: Iterable[Path], *settings: object) -> str:
    """SHA-256 (hex) over the files' bytes and the settings that shape what is cached.

    Raises:
        DataError: a file cannot be read.
    """
    digest = hashlib.sha256(repr((_VERSION, settings)).encode())
    for path in files:
        try:
            with path.open("rb") as stream:
                while chunk := stream.read(_CHUNK):
                    digest.update(chunk)
        except OSError as error:
            raise DataError(f"cannot read {path}: {error.strerror}") from error
    return digest.hexdigest()


def cached_images(
    name: str,
    key: str,
    shape: tuple[int, int, int, int],
    fill: Callable[[NDArray[np.uint8]], None],
    *,
    cache: Path | None,
) -> UInt8[Tensor, "n c h w"]:
    """Return the array of this key, memory-mapped; `fill` writes it when it is not there yet.

    The mapping is copy-on-write: changing the tensor never changes the file. A file of another
    shape or cut short is written anew.
    """
    path = cache_folder(cache) / "data" / f"{name}-{key[:40]}.npy"
    if not _is_whole(path, shape):
        try:
            _write(path, shape, fill)
        except DataError:
            raise
        except InputError as error:
            raise InputError(f"{error} (the cache; $SFUMATO_CACHE moves it)") from error
    return torch.from_numpy(np.load(path, mmap_mode="c", allow_pickle=False))


def decode_all(
    decode: Callable[[int], UInt8[Tensor, "c h w"]], count: int, title: str
) -> Callable[[NDArray[np.uint8]], None]:
    """Return a `fill` that decodes images 0..count-1 on all cores (decoders release the GIL)."""

    def fill(target: NDArray[np.uint8]) -> None:
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for i, image in enumerate(track(pool.map(decode, range(count)), title, total=count)):
                target[i] = image.numpy()

    return fill


def _write(
    path: Path, shape: tuple[int, int, int, int], fill: Callable[[NDArray[np.uint8]], None]
) -> None:
    with replacing(path, mode=0o600) as part:
        target = np.lib.format.open_memmap(part, "w+", np.uint8, shape)
        if hasattr(os, "posix_fallocate"):
            # Without its blocks, a mapped file on a disk that fills up kills the process (SIGBUS).
            with part.open("rb+") as stream:
                os.posix_fallocate(stream.fileno(), 0, part.stat().st_size)
        fill(target)
        target.flush()


def _is_whole(path: Path, shape: tuple[int, ...]) -> bool:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return False
    return bool(array.shape == shape and array.dtype == np.uint8)
