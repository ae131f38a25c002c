"""SVG to pixels on all cores.

resvg holds the interpreter's lock while it draws (a counting thread stood still for 0.8 s beside
it), so threads gain nothing. Its workers are plain interpreters that import nothing else: they
start in a tenth of a second, and the caller's script needs no `__main__` guard.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO

from PIL import Image

from sfumato.errors import UnavailableError

_WORKER = """
import json, sys, resvg_py
for line in sys.stdin:
    svg, width, height = json.loads(line)
    png = resvg_py.svg_to_bytes(
        svg_string=svg, width=width, height=height, skip_system_fonts=True
    )
    sys.stdout.buffer.write(len(png).to_bytes(4, "little") + png)
"""


def rasterise(drawings: Sequence[str], width: int, height: int) -> list[Image.Image]:
    """Draw each SVG at the given size, as RGBA.

    Raises:
        UnavailableError: a worker failed; the message carries its last line.
    """
    workers = min(os.cpu_count() or 1, len(drawings))
    parts = [drawings[i::workers] for i in range(workers)]
    pictures: list[Image.Image | None] = [None] * len(drawings)
    with ThreadPoolExecutor(workers or 1) as pool:
        drawn = pool.map(lambda part: _draw(part, width, height), parts)
        for i, part in enumerate(drawn):
            pictures[i::workers] = part
    return [picture for picture in pictures if picture is not None]


def _draw(drawings: Sequence[str], width: int, height: int) -> list[Image.Image]:
    lines = "\n".join(json.dumps((svg, width, height)) for svg in drawings)
    command = [sys.executable, "-c", _WORKER]
    worker = subprocess.run(command, input=lines.encode(), capture_output=True, check=False)  # noqa: S603
    if worker.returncode:
        last = worker.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise UnavailableError(f"resvg cannot draw the characters: {last}; reinstall resvg-py")
    return _pictures(worker.stdout)


def _pictures(stream: bytes) -> list[Image.Image]:
    pictures = []
    start = 0
    while start < len(stream):
        end = start + 4 + int.from_bytes(stream[start : start + 4], "little")
        picture = Image.open(BytesIO(stream[start + 4 : end]), formats=["PNG"])
        pictures.append(picture.convert("RGBA"))
        start = end
    return pictures
