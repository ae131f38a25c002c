"""A notebook a paper, and one of audits: stored without outputs, and true when it is run."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import nbformat
import pytest

from sfumato.demo.sections import SLUGS

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "notebooks"
NAMES = (*SLUGS, "audits")


def read(slug: str) -> Any:
    return nbformat.read(FOLDER / f"{slug}.ipynb", as_version=4)


def test_there_is_one_for_each_paper_and_a_page_that_names_it() -> None:
    assert {path.stem for path in FOLDER.glob("*.ipynb")} == set(NAMES)
    page = (ROOT / "docs" / "notebooks.md").read_text()
    assert set(re.findall(r"\(notebooks/(\w+)\.ipynb\)", page)) == set(NAMES)


@pytest.mark.parametrize("slug", NAMES)
def test_nothing_of_any_machine_is_stored(slug: str) -> None:
    notebook = read(slug)
    nbformat.validate(notebook)
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert dict(notebook.metadata.language_info) == {"name": "python"}
    for number, cell in enumerate(notebook.cells):
        assert cell.id == f"{slug}-{number}"
        assert not cell.metadata
        if cell.cell_type == "code":
            assert cell.outputs == []
            assert cell.execution_count is None


@pytest.mark.parametrize("slug", SLUGS)
def test_it_has_the_equations_and_ends_with_the_attack(slug: str) -> None:
    cells = read(slug).cells
    assert "$$" in cells[0].source
    headings = [
        line for cell in cells if cell.cell_type == "markdown" for line in cell.source.splitlines()
        if line.startswith("## ")
    ]  # fmt: skip
    assert headings[-1] == "## The attack"
    assert cells[-1].source.startswith("assert ")


@pytest.mark.slow
@pytest.mark.parametrize("slug", NAMES)
@pytest.mark.filterwarnings("ignore")
def test_it_runs(slug: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel is a process of its own, and what it warns of is not this test's business."""
    from nbclient import NotebookClient
    from traitlets.config import Config

    monkeypatch.setenv("PYTHONPATH", str(ROOT / "src"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")
    notebook = read(slug)
    place = {"metadata": {"path": str(tmp_path)}}
    # Ports that are found free may be taken when the kernel binds them, and it would die of that.
    pipes = {"transport": "ipc", "ip": str(tmp_path / "k")}  # without a path: where each works
    NotebookClient(
        notebook, timeout=1_800, startup_timeout=300, kernel_name="python3", resources=place,
        config=Config({"ConnectionFileMixin": pipes}),
    ).execute()  # fmt: skip
    outputs = [out for cell in notebook.cells if "outputs" in cell for out in cell.outputs]
    kinds = {kind for out in outputs for kind in out.get("data", {})}
    assert kinds & {"image/png", "text/html"}
    assert not any(str(Path.home()) + os.sep in str(out.get("text", "")) for out in outputs)
