"""One noise a picture: an obfuscator's release of a picture is the same map every time.

Noise that is drawn anew is averaged away by whoever sees the picture's maps many times. So it
follows from a secret that its owner keeps, from the obfuscator and from the picture's pixels. See
docs/formats.md, "Noise key", for the layout and for what a camera computes.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from sfumato.data.pixels import digest
from sfumato.errors import FormatError, InputError
from sfumato.newfile import write_first
from sfumato.protect.release.noise import SECRET_BYTES, fresh_secret

_HEAD = "sfumato-noise-key-1 "
_FILE_BYTES = len(_HEAD) + 2 * SECRET_BYTES + 1
_BITS = 52  # of a place; a double has 53, and half a place more must be exact


def key_beside(folder: Path) -> Path:
    """Return where the noise key of the obfuscator in `folder` lies: beside it, never inside.

    The folder is what is handed on, pushed to the hub, or put on a server.
    """
    return folder.with_name(f"{folder.name}.noise-key")


def noise_key(path: Path) -> bytes:
    """Return the secret in a file, which is written (mode 0600) where there is none yet.

    Raises:
        FormatError: the file holds something else.
        InputError: it cannot be read or written.
    """
    try:
        if not path.exists():
            write_first(path, f"{_HEAD}{fresh_secret().hex()}\n".encode())
        with path.open("rb") as stream:
            content = stream.read(_FILE_BYTES + 1)
    except OSError as error:
        raise InputError(
            f"cannot keep the noise key {path}: {error.strerror}; name another place by `noise_key`"
        ) from error
    try:
        head, secret = content.decode("ascii").removesuffix("\n").rsplit(" ", 1)
        found = bytes.fromhex(secret)
    except ValueError:
        head, found = "", b""
    if f"{head} " != _HEAD or len(found) != SECRET_BYTES:
        raise FormatError(
            f"{path}: expected a noise key ({_HEAD.strip()} and {2 * SECRET_BYTES} hex digits); "
            "restore it from a copy, or name another file by `noise_key`: maps released under "
            "another key can be averaged with the earlier ones"
        )
    return found


def map_noise(
    secret: bytes, maker: str, picture: UInt8[Tensor, "c h w"], shape: tuple[int, int, int]
) -> Float[Tensor, "1 m y x"]:
    """Return the standard normal noise of one picture's map.

    `maker` is the fingerprint (hex) of what makes the maps: under one noise, the difference of two
    obfuscators' maps would be without any. SHAKE-256 of secret, maker and picture gives 64 bits a
    number, whose upper 52 choose a quantile of the normal distribution: the same on every machine.
    """
    purpose = b"map" + bytes.fromhex(maker) + digest(picture)
    count = shape[0] * shape[1] * shape[2]
    stream = hashlib.shake_256(secret + purpose).digest(8 * count)
    places = (np.frombuffer(stream, "<u8") >> np.uint64(64 - _BITS)).astype(np.float64) + 0.5
    quantiles = torch.from_numpy(places / 2.0**_BITS)
    noise: Tensor = torch.special.ndtri(quantiles)
    return noise.float().view(1, *shape)
