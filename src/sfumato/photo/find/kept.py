"""What a finder found, kept on disk by the picture's pixels: an interrupted search goes on."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Final

from jaxtyping import UInt8
from torch import Tensor

from sfumato._version import __version__
from sfumato.data.pixels import digest
from sfumato.errors import FormatError
from sfumato.files import MALFORMED, read_json, write_bytes
from sfumato.photo.find.box import Face

Find = Callable[[UInt8[Tensor, "three h w"], float], list[Face]]
"""Returns the faces of a picture that are at least so sure."""
_LIMIT_BYTES: Final = 16 << 20


def kept(find: Find, folder: Path) -> Find:
    """Return the finder with a file a picture in the folder; it holds places, and no pixels."""

    def found(picture: UInt8[Tensor, "three h w"], least: float) -> list[Face]:
        path = folder / f"{digest(picture).hex()}-{least:g}.json"
        with suppress(FormatError, *MALFORMED):
            document = read_json(path, limit_bytes=_LIMIT_BYTES)
            if document["version"] == __version__:
                return [Face(**face) for face in document["faces"]]
        faces = find(picture, least)
        noted = {"version": __version__, "faces": [asdict(face) for face in faces]}
        write_bytes(path, json.dumps(noted).encode(), mode=0o600)
        return faces

    return found
