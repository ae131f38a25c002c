"""What Chromium paints of a picture file: the oracle for decoders."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

import sfumato
from sfumato.features.backbone import open_backbone
from tests.browser import Tab

_STATIC = Path(sfumato.__file__).parent / "serve" / "web" / "static"
_ORIGIN = "http://localhost"  # frames are decoded on secure origins only; nothing is sent there
_SCRIPT = """
const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
function told(width, height, draw) {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [width, height];
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.fillStyle = "white";
  context.fillRect(0, 0, width, height);
  draw(context);
  const { data } = context.getImageData(0, 0, width, height);
  let text = "";
  for (let i = 0; i < data.length; i += 8192) {
    text += String.fromCharCode(...data.subarray(i, i + 8192));
  }
  return { width, height, data: btoa(text) };
}
async function painted(file) {
  const image = new Image();
  image.src = URL.createObjectURL(new Blob([bytes(file)]));
  try { await image.decode(); } catch { return null; }
  return told(image.naturalWidth, image.naturalHeight, (context) => context.drawImage(image, 0, 0));
}
async function frames(file, type) {
  const decoder = new ImageDecoder({ data: bytes(file), type });
  await decoder.tracks.ready;
  await decoder.completed;
  const found = [];
  for (let i = 0; i < decoder.tracks.selectedTrack.frameCount; i += 1) {
    const { image } = await decoder.decode({ frameIndex: i });
    const { displayWidth, displayHeight } = image;
    found.push(told(displayWidth, displayHeight, (context) => context.drawImage(image, 0, 0)));
    image.close();
  }
  return found;
}
async function decoded(file) {
  const { decode } = await import("/picture.js");
  try {
    const { width, height, planes } = await decode(new Blob([bytes(file)]));
    const levels = (plane) => Array.from(plane, (value) => Math.round(255 * value));
    return { width, height, planes: planes.map(levels) };
  } catch (error) {
    return error.message;
  }
}
async function each(look, files) {
  const found = [];
  for (const file of files) found.push(await look(file));
  return found;
}
async function inputs([backbone, files]) {
  const { decode } = await import("/picture.js");
  const { openBackbone } = await import("/backbone.js");
  const { input, feature } = openBackbone(bytes(backbone).buffer);
  const found = [];
  for (const file of files) {
    const picture = await decode(new Blob([bytes(file)]));
    found.push(Array.from(feature(input(picture))));
  }
  return found;
}
"""

Pixels = UInt8[np.ndarray, "h w 3"]


class Viewer:
    """One page of a headless Chromium."""

    def __init__(self, browser: Any) -> None:
        self._page = Tab(browser).tab
        self._page.route("**/*", self._serve)
        self._page.goto(_ORIGIN)
        self._page.add_script_tag(content=_SCRIPT)

    @staticmethod
    def _serve(route: Any) -> None:
        name = route.request.url.removeprefix(f"{_ORIGIN}/")
        if name.endswith(".js"):
            route.fulfill(body=(_STATIC / name).read_text(), content_type="text/javascript")
        else:
            route.fulfill(body="<!doctype html>", content_type="text/html")

    def paints(self, files: Sequence[bytes]) -> list[Pixels | None]:
        """What an `img` on white shows of each file; None where it shows nothing."""
        return [found and _pixels(found) for found in self._each("painted", files)]

    def frames(self, file: bytes, kind: str) -> list[Pixels]:
        """What each frame of an animation shows on white."""
        text = base64.b64encode(file).decode()
        script = "([file, kind]) => frames(file, `image/${kind}`)"
        return [_pixels(found) for found in self._page.evaluate(script, [text, kind])]

    def enrolls(self, files: Sequence[bytes]) -> list[Pixels | str]:
        """What the enrollment page's own decoder takes each file for, or why it takes none."""
        return [
            found if isinstance(found, str) else _planes(found)
            for found in self._each("decoded", files)
        ]

    def inputs(self, files: Sequence[bytes], size: tuple[int, int]) -> list[list[float]]:
        """What a backbone of RGB pixels of this size is given by the page: in [0, 1]."""
        backbone = base64.b64encode(open_backbone(f"raw:3x{size[0]}x{size[1]}").to_bytes()).decode()
        text = [base64.b64encode(file).decode() for file in files]
        found: list[list[float]] = self._page.evaluate("inputs", [backbone, text])
        return found

    def _each(self, name: str, files: Sequence[bytes]) -> list[Any]:
        text = [base64.b64encode(file).decode() for file in files]
        found: list[Any] = self._page.evaluate(f"(files) => each({name}, files)", text)
        return found


def _pixels(found: Any) -> Pixels:
    flat = np.frombuffer(base64.b64decode(found["data"]), np.uint8)
    return flat.reshape(found["height"], found["width"], 4)[:, :, :3]


def _planes(found: Any) -> Pixels:
    planes = np.array(found["planes"], np.uint8).reshape(-1, found["height"], found["width"])
    return np.broadcast_to(planes, (3, *planes.shape[1:])).transpose(1, 2, 0)
