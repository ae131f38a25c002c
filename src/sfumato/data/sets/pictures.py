"""Sets that are one picture file an image: decoded once, cached, with their size and colour."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from jaxtyping import UInt8
from torch import Tensor

from sfumato.data.cache import cached_images, content_key, decode_all
from sfumato.data.decoding.decode import decode_image
from sfumato.data.options import SourceOptions
from sfumato.errors import DataError, ImageError


def load_pictures(
    name: str,
    paths: Sequence[Path],
    options: SourceOptions,
    *,
    size: tuple[int, int],
    channels: Literal[1, 3] = 3,
    archive: tuple[Path, Sequence[bytes]] | None = None,
) -> UInt8[Tensor, "n c h w"]:
    """Return the pictures, decoded once and cached.

    `size` (height, width) and `channels` are theirs where the options ask for none. Members of an
    `archive` come with their contents; `paths` then only names them.

    Raises:
        DataError: a file cannot be read or is no picture.
    """
    shape = options.shape_of(size)
    channels = options.channels or channels

    def decode(i: int) -> UInt8[Tensor, "c h w"]:
        try:
            content = paths[i].read_bytes() if archive is None else archive[1][i]
            return decode_image(content, channels=channels, size=shape, box=options.box)
        except (OSError, ImageError) as error:
            raise DataError(f"{paths[i]}: {error}") from error

    files, members = (paths, None) if archive is None else ([archive[0]], [str(p) for p in paths])
    key = content_key(files, shape, channels, options.box, members)
    fill = decode_all(decode, len(paths), f"{name}: decoding")
    return cached_images(name, key, (len(paths), channels, *shape), fill, cache=options.cache)
