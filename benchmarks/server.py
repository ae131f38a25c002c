"""A real server process with a bank of a given size, and pictures to upload to it.

Enrollments are put into the bank of the running service directly: a hundred thousand signed files
would take minutes to read, and the time of an upload does not depend on how they came. They are
sound and untrained, and claim nothing; one more claims half of the pictures, so that half of the
uploads also write a blocked decision to the database. Where the bank has a list, one in `LISTED` of
them may claim a picture as far as the list can tell, and is scored.
"""

from __future__ import annotations

import io
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import cycle
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from benchmarks.enrollments import HIDDEN, random_enrollment
from sfumato.data.decoding.decode import decode_image, encode_png
from sfumato.data.sources import load as load_images
from sfumato.features.backbone import Backbone, open_backbone
from sfumato.filter.bank.scoring import BATCH
from sfumato.filter.enrollment import Enrollment
from sfumato.serve.app import create_app
from sfumato.serve.bank.memory import BankState
from sfumato.serve.http.connections import Places
from sfumato.serve.http.listening import listening, run_app
from sfumato.serve.records.auth import add_account
from sfumato.serve.service import FilterService
from sfumato.serve.settings import ServeSettings

DIM, SIDE = 128, 256
REACH = 0.5
"""Of the list: what was chosen for faces."""
LISTED = 50
"""Of faces at that reach 2.0 % are listed where half of the uploads are blocked (recipe
`shortlist` of `papers/docl`)."""
_WIDE, _NARROW = 1e4, 1e-6  # variances of codes: all pictures are near, and none is
_PICTURES = 32


@dataclass(frozen=True)
class Running:
    """A server that answers on `port` to `token`."""

    port: int
    token: str
    process: subprocess.Popen[str]

    def settle(self, count: int, *, batched: bool = True) -> None:
        """Let the bank grow to `count` enrollments, and say whether uploads are batched."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{count} {BATCH if batched else 1}\n")
        self.process.stdin.flush()
        if _line(self.process) != "ready\n":
            raise RuntimeError("the server ended; its log says why")


def pictures(side: int = SIDE, count: int = _PICTURES) -> list[bytes]:
    """Return drawn characters as JPEGs."""
    return [_jpeg(image) for image in load_images("characters", count=count, size=side).images]


def make_backbone(path: Path) -> Backbone:
    """Write oriented gradients of 64x64, projected to `DIM` features, and return them."""
    public = load_images("characters", count=300, size=64, seed=1)
    backbone = open_backbone("gradients:1x64x64", public=public, dims=DIM)
    backbone.save(path)
    return backbone


def enrollments(backbone: Backbone, uploads: list[bytes]) -> Iterator[Enrollment]:
    """Yield enrollments without end; the first claims half of the uploads, the others none.

    One in `LISTED`, the first among them, is on every upload's list.
    """
    made = replace(random_enrollment(DIM, backbone.fingerprint), mu=1e-3, sigma=1e-4)
    base, far = (
        replace(made, code_covariance=variance * torch.eye(HIDDEN)) for variance in (_WIDE, _NARROW)
    )
    x = features(backbone, uploads)
    code = (x @ base.encoder.T + base.encoder_bias).relu()
    back = (code @ base.decoder.T + base.decoder_bias).sigmoid()
    yield replace(base, mu=float((x - back).square().sum(1).median()), sigma=1e-6)
    yield from cycle([far] * (LISTED - 1) + [base])


def features(backbone: Backbone, uploads: list[bytes]) -> Tensor:
    """Return the features of pictures, one row each."""
    with torch.inference_mode():
        return torch.cat([backbone(decode_image(content)[None]) for content in uploads]).clone()


@contextmanager
def running(folder: Path, *, places: int = 256, listed: bool = False) -> Iterator[Running]:
    """Start a server with an empty bank and places for so many requests; stop it at the end.

    `listed` gives its bank a list.
    """
    command = [sys.executable, "-m", "benchmarks.server", str(folder), str(places)]
    command += ["listed"] if listed else []
    with (folder / "server.log").open("ab") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
        )
    try:
        line = _line(process).split()
        if len(line) != 2:
            raise RuntimeError((folder / "server.log").read_text()[-2000:])
        yield Running(int(line[0]), line[1], process)
    finally:
        process.terminate()
        process.wait(30)


def main(folder: Path, places: int, *, listed: bool = False) -> None:
    """Serve from this process until terminated; print the port and a token, then obey stdin."""
    backbone = Backbone.load(folder / "public.backbone")
    settings = ServeSettings(
        backbone=folder / "public.backbone",
        database=f"sqlite:///{folder}/load-{time.time_ns()}.db",
        hidden=HIDDEN,
        concurrency=places,
        shortlist=REACH if listed else None,
    )
    with listening("127.0.0.1", 0) as sock:
        service = FilterService.open(settings)
        # A platform's gateway has no rate limit.
        _, token = add_account(service.store.engine, "gateway", role="uploader")
        port = sock.getsockname()[1]
        threading.Thread(target=_obey, args=(service, backbone), daemon=True).start()
        try:
            run_app(
                create_app(service),
                sock,
                ready=partial(print, port, token, flush=True),
                places=Places(places),
            )
        finally:
            service.close()


def _obey(service: FilterService, backbone: Backbone) -> None:
    owner, _ = add_account(service.store.engine, "owner")
    supply = enrollments(backbone, pictures())
    for line in sys.stdin:
        count, most = map(int, line.split())
        for number in range(len(service.state), count):
            service.state.add(f"{number:032x}", next(supply), owner.id, arrival=len(service.state))
        assert isinstance(service.state, BankState)
        service.state.most = service.uploads.ready.most = service.uploads.blocks.most = most
        print("ready", flush=True)


def _line(process: subprocess.Popen[str]) -> str:
    return process.stdout.readline() if process.stdout else ""


def _jpeg(image: Tensor) -> bytes:
    buffer = io.BytesIO()
    Image.open(io.BytesIO(encode_png(image))).convert("RGB").save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), listed=sys.argv[3:] == ["listed"])
