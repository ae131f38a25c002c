"""What all tests share: one small synthetic image world, and the real data where they are."""

from __future__ import annotations

import getpass
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, settings

from sfumato.data.imageset import ImageSet
from tests.far import far_there, register
from tests.serve.world import world
from tests.shapes import begin_test
from tests.waiting import PATIENCE

__all__ = ["world"]

# Test tensors are small: a second thread costs more in waiting than it brings.
torch.set_num_threads(1)

# A busy machine is no reason to fail: speed is measured in `benchmarks/`. Nor are examples that
# only this run has drawn: `make test-all` draws others, to find more.
_CALM = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("explore", _CALM)
settings.register_profile("sfumato", _CALM, derandomize=True, database=None)
settings.load_profile("sfumato")

_MEMORY = Path("/dev/shm")
_ENOUGH = 4 << 30


def pytest_configure() -> None:
    """Write what tests write to memory where there is much of it: they wait for a disk a fifth.

    Whoever sets TMPDIR chooses another place. Libraries are built there, too, and have to run.
    """
    if "TMPDIR" in os.environ or not _MEMORY.is_dir():
        return
    there = os.statvfs(_MEMORY)
    if there.f_bavail * there.f_frsize >= _ENOUGH and not there.f_flag & os.ST_NOEXEC:
        # What is compiled outlives the tests, and may as well stay on the disk.
        compiled = Path(tempfile.gettempdir()) / f"torchinductor_{getpass.getuser()}"
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(compiled))
        os.environ["TMPDIR"] = str(_MEMORY)
        tempfile.tempdir = None  # asked for before, and kept


# A process keeps a queue a device from its first backward pass on, and adds none later.
register()

SHARED = Path(__file__).parents[2] / "shared"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give each page of the documentation to whoever is free: together they take five minutes."""
    from xdist.scheduler import LoadFileScheduling

    class Pages(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return (
                nodeid
                if "test_every_block_of_a_start_page_runs" in nodeid
                else (super()._split_scope(nodeid))
            )

    return Pages(config, log) if config.getvalue("dist") == "loadfile" else None


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Start every test from the same random state, whatever ran before it."""
    torch.manual_seed(0)
    begin_test()


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data sets, or a skip that says so."""
    folder = SHARED / "data"
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}")
    return folder


@pytest.fixture(scope="session")
def real_models() -> Path:
    """The folder of published weights, or a skip that says so."""
    folder = SHARED / "models"
    if not folder.is_dir():
        pytest.skip(f"no published weights at {folder}")
    return folder


@pytest.fixture(scope="session")
def blobs() -> ImageSet:
    """200 grey 8x8 images: `person` (5) sets the place of a bright spot, `mood` (2) its sign."""
    generator = torch.Generator().manual_seed(0)
    person = torch.arange(200) % 5
    mood = torch.arange(200) // 5 % 2
    images = torch.randint(96, 160, (200, 1, 8, 8), generator=generator)
    for i in range(200):
        row = int(person[i])
        images[i, 0, row : row + 3, row : row + 3] += 90 if mood[i] else -90
    return ImageSet(
        name="blobs",
        images=images.clamp(0, 255).to(torch.uint8),
        labels={"person": person, "mood": mood},
        classes={"person": tuple("abcde"), "mood": ("low", "high")},
        files=tuple(f"blob{i}.png" for i in range(200)),
    )


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The device of a card where there is one, else of one that only seems to be elsewhere."""
    if torch.cuda.is_available():
        # Its convolutions round otherwise to ten bits, and results are compared.
        monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
        yield "cuda"
        return
    with far_there():
        # Accelerate does not know this device and would take the processor.
        monkeypatch.setenv("ACCELERATE_TORCH_DEVICE", "far")
        yield "auto"


@pytest.fixture(scope="module")  # its event loop would stop others that need one in the thread
def browser() -> Iterator[Any]:
    """Headless Chromium."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium here: pages are not opened (apt-get install chromium)")
    sync = pytest.importorskip("playwright.sync_api", reason="no playwright here (pip install)")
    with sync.sync_playwright() as playwright:
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        opened = playwright.chromium.launch(
            executable_path=chromium, args=arguments, timeout=1000 * PATIENCE
        )
        yield opened
        opened.close()
