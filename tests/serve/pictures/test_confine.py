"""A process that decodes pictures has a processor, some memory and one pipe, and nothing else."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch
from PIL import Image, ImageCms

from sfumato.data.decoding.decode import ImageLimits
from sfumato.errors import ImageError
from sfumato.filter.neardup import available
from sfumato.serve.pictures import confine, pictureprocess
from sfumato.serve.pictures.extract import Pictures, Seen
from sfumato.serve.pictures.processes import Processes
from sfumato.serve.pictures.syscalls import ARCHITECTURES
from tests.data.decoding import heic_files
from tests.serve import probing
from tests.serve.conftest import Start, bearer
from tests.serve.world import World

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() not in ARCHITECTURES,
    reason="only Linux has a filter of calls, and the list is of two processors",
)


@pytest.fixture(scope="module")
def probed(world: World) -> Iterator[Processes]:
    with mock.patch.object(pictureprocess, "main", probing.main):
        made = Processes(world.backbone, world.backbone.to_bytes(), ImageLimits(), 1)
        made.wait()
        yield made
        made.close()


def did(probed: Processes, *names: str) -> list[str]:
    return [
        str(found)
        for found in probed.small([probing.MARK + n.encode() for n in names], hashes=False)
    ]


def test_nothing_is_held_back_here(probed: Processes) -> None:
    assert probed.workers[0].held_back == ""


def test_whatever_is_beyond_computing_is_refused(probed: Processes, world: World) -> None:
    process = probed.workers[0].process
    said = dict(zip(probing.REFUSED, did(probed, *probing.REFUSED), strict=True))
    allowed = {name: words for name, words in said.items() if not words.startswith("refused: ")}
    if os.geteuid() == 0:  # who may do everything may lift a limit, and yet open nothing
        allowed.pop("lift its limit of files", None)
    assert not allowed
    assert not Path("/tmp/written").exists()
    assert probed.workers[0].process is process
    (sound,) = probed.small([world.png(0, 0)], hashes=False)
    assert isinstance(sound, Seen)


def test_what_it_needs_works_and_what_it_knew_is_gone(probed: Processes) -> None:
    thread, environment, arguments = did(
        probed, "start a thread", "name the environment", "name the command line"
    )
    assert thread == "did it: True"
    assert environment == "did it: []"
    assert arguments == "did it: ['']"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root sees what another process has open")
def test_it_has_one_pipe_open_and_nothing_of_the_service(probed: Processes) -> None:
    process = probed.workers[0].process
    assert process is not None
    folder = Path(f"/proc/{process.pid}/fd")
    held = {one.name: os.readlink(one) for one in folder.iterdir()}
    assert [held.pop(name) for name in ("0", "1", "2")] == ["/dev/null"] * 3
    (pipe,) = held.values()
    assert re.fullmatch(r"socket:\[\d+\]", pipe)
    limits = Path(f"/proc/{process.pid}/limits").read_text()
    for what in ("core file size", "file size", "open files"):
        assert re.search(rf"Max {what}\s+0\s+0\s", limits), what
    status = Path(f"/proc/{process.pid}/status").read_text()
    assert re.search(r"^NoNewPrivs:\s+1$", status, re.M)
    assert re.search(r"^Seccomp:\s+2$", status, re.M)
    assert Path(f"/proc/{process.pid}/oom_score_adj").read_text().strip() == "1000"


_SECRETS = """
import os, sys
from pathlib import Path
from sfumato.data.decoding.decode import ImageLimits
from sfumato.features.backbone import open_backbone
from sfumato.serve.pictures.processes import Processes

if __name__ == "__main__":
    backbone = open_backbone("raw:1x8x8")
    made = Processes(backbone, backbone.to_bytes(), ImageLimits(), 1)
    made.wait()
    print(Path(f"/proc/{made.workers[0].process.pid}/environ").read_text(errors="replace"))
    made.close()
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root sees another process's environment")
def test_its_environment_holds_no_secret_of_the_service(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(_SECRETS)
    secrets = {
        "PGPASSWORD": "hush-1",
        "SFUMATO_TOKEN": "hush-2",
        "DATABASE_URL": "postgresql://hush",
    }
    environment = {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, str(script)],
        env=environment | secrets,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert "OMP_NUM_THREADS=1" in done.stdout
    assert "hush" not in done.stdout
    assert done.stderr == ""


def test_the_service_answers_and_goes_on(
    start: Start, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictureprocess, "main", probing.main)
    client, service = start(workers=1)
    eve = bearer(service, "eve")
    for name in ("read a file", "open a socket", "start a program", "write a file"):
        answer = client.post("/v1/uploads", content=probing.MARK + name.encode(), headers=eve)
        assert answer.status_code == 422
        assert answer.json()["detail"].startswith("refused: ")
    assert client.post("/v1/uploads", content=world.png(8, 0), headers=eve).status_code == 200


def test_a_kernel_without_filters_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "vax")
    assert "no list of calls for vax" in confine.filter_calls()


def test_all_memory_ends_the_process_and_is_the_files_fault(
    start: Start, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictureprocess, "main", probing.main)
    client, service = start(workers=1)
    for name in ("take all memory", "take all memory by torch"):
        who = bearer(service, name.replace(" ", "-"))
        answer = client.post("/v1/uploads", content=probing.MARK + name.encode(), headers=who)
        assert answer.status_code == 422
        assert "twice" in answer.json()["detail"]
    ada = bearer(service, "ada")
    assert client.post("/v1/uploads", content=world.png(8, 0), headers=ada).status_code == 200


def pictures() -> dict[str, bytes]:
    """A file of every format, and of what Pillow loads on demand: palettes, profiles, codecs."""
    image = Image.effect_noise((96, 80), 60).convert("RGB")
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    kinds = {
        "png": ("PNG", image, {"icc_profile": profile}),
        "palette": ("PNG", image.quantize(8), {"transparency": 0}),
        "png of 16 bits": ("PNG", image.convert("I;16"), {}),
        "jpeg": ("JPEG", image, {"progressive": True, "exif": Image.Exif().tobytes()}),
        "cmyk": ("JPEG", image.convert("CMYK"), {}),
        "webp": ("WEBP", image, {"lossless": True}),
        "moving webp": ("WEBP", image, {"save_all": True, "append_images": [image.rotate(90)]}),
        "gif": ("GIF", image, {"save_all": True, "append_images": [image.rotate(90)]}),
        "bmp": ("BMP", image, {}),
        "avif": ("AVIF", image, {}),
        "ppm": ("PPM", image, {}),
    } | {
        f"tiff {kind}": ("TIFF", image, {"compression": kind})
        for kind in ("raw", "tiff_lzw", "tiff_deflate", "jpeg", "packbits")
    }  # fmt: skip
    made = {name: saved(shown, kind, **more) for name, (kind, shown, more) in kinds.items()}
    return made if find_spec("pi_heif") is None else made | {"heic": heic_files.STILL}


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    content = BytesIO()
    image.save(content, kind, **options)
    return content.getvalue()


def test_every_format_shows_there_what_it_shows_here(probed: Processes, world: World) -> None:
    here = Pictures(world.backbone, ImageLimits())
    for name, content in pictures().items():
        own, there = (one.all(content, hashes=available()) for one in (here, probed))
        assert torch.equal(own.features, there.features), name
        assert own.frames == there.frames, name
        assert all(torch.equal(a, b) for a, b in zip(own.hashes, there.hashes, strict=True)), name


def test_an_error_of_a_picture_stays_one(probed: Processes) -> None:
    (found,) = probed.small([b"no picture"], hashes=False)
    assert isinstance(found, ImageError)
