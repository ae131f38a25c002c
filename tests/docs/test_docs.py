"""Documentation fails the build when it is wrong: every block is run, every page is current."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer

from papers import headlines, referee, summary
from sfumato.cli.main import app

ROOT = Path(__file__).parents[2]
RUN = [
    *sorted((ROOT / "docs" / "start").glob("*.md")),
    ROOT / "docs" / "api.md",
    ROOT / "docs" / "operations.md",
    ROOT / "docs" / "shufflebits.md",
]
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "papers").glob("*/README.md")),
]
_BLOCK = re.compile(r"^```(\w*)[ ]?([^\n]*)\n(.*?)^```$", re.M | re.S)


def blocks(path: Path) -> list[tuple[str, str, str]]:
    return [(m[1], m[2], m[3]) for m in _BLOCK.finditer(path.read_text())]


def command_lines(path: Path) -> list[str]:
    text = "\n".join(body for kind, _, body in blocks(path) if kind in ("", "bash", "console"))
    lines = text.replace("\\\n", " ").splitlines()
    return [line.split("#")[0].strip() for line in lines if line.strip().startswith("sfumato ")]


@pytest.mark.slow
@pytest.mark.parametrize("path", RUN, ids=[p.stem for p in RUN])
def test_every_block_of_a_start_page_runs(path: Path, tmp_path: Path) -> None:
    folder = Path(sys.executable).parent
    environment = os.environ | {
        "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT / "src"),
        "OMP_NUM_THREADS": "1",
    }
    # -P: as the installed command has it, the folder where one works is not on the path.
    script = ["set -euo pipefail", 'sfumato() { python -P -m sfumato "$@"; }']
    for i, (kind, settings, body) in enumerate(blocks(path)):
        if settings.startswith("file="):
            (tmp_path / settings.removeprefix("file=")).write_text(body)
        elif kind == "python":
            (tmp_path / f"block{i}.py").write_text(body)
            script.append(f"python block{i}.py")
        elif kind == "bash":
            script.append(body)
    done = subprocess.run(
        ["bash", "-c", "\n".join(script)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"


@pytest.mark.parametrize("path", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_command_line_is_one_that_exists(path: Path) -> None:
    for line in command_lines(path):
        parse(line)


def parse(line: str) -> None:
    command: Any = typer.main.get_command(app)
    words = [w for w in shlex.split(line)[1:] if w not in ("...",)]
    while hasattr(command, "commands"):
        name = words.pop(0) if words else ""
        if name in ("--help", "--version"):
            return
        assert name in command.commands, f"{line!r}: there is no command {name!r}"
        command = command.commands[name]
    known = {option for p in command.params for option in (*p.opts, *p.secondary_opts)} | {"--help"}
    for word in words:
        if word.startswith("-") and not re.fullmatch(r"-?\d.*", word):
            assert word.split("=")[0] in known, f"{line!r}: there is no option {word!r}"


def test_a_wrong_command_line_is_found() -> None:
    with pytest.raises(AssertionError, match="no option"):
        parse("sfumato demo --fast")
    with pytest.raises(AssertionError, match="no command"):
        parse("sfumato protect all")


def test_the_command_reference_is_current() -> None:
    reference = _load(ROOT / "docs" / "reference.py")
    assert reference.PAGE.read_text() == reference.page(), "run: python docs/reference.py"


def test_every_command_and_option_says_what_it_is() -> None:
    def check(command: Any, name: str) -> None:
        assert command.help, name
        for parameter in command.params:
            if parameter.param_type_name == "option":
                assert parameter.help, f"{name} {parameter.opts}"
        for part, sub in getattr(command, "commands", {}).items():
            check(sub, f"{name} {part}")

    check(typer.main.get_command(app), "sfumato")


def test_the_results_page_is_what_the_results_say() -> None:
    assert headlines.PAGE.read_text() == headlines.page(), "run: python -m papers.headlines"
    assert referee.PAGE.read_text() == referee.page(), "run: python -m papers.headlines"
    assert summary.README.read_text() == summary.readme(), "run: python -m papers.headlines"


@pytest.mark.skipif(
    shutil.which("mkdocs", path=str(Path(sys.executable).parent)) is None,
    reason="mkdocs is not installed (make docs installs it)",
)
def test_the_site_builds_and_misses_no_page(tmp_path: Path) -> None:
    mkdocs = Path(sys.executable).parent / "mkdocs"
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(
        [str(mkdocs), "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for page in (ROOT / "docs").rglob("*.md"):
        name = page.relative_to(ROOT / "docs").with_suffix("")
        built = tmp_path / "site" / name / "index.html"
        assert built.is_file() or page.name == "index.md", name


def _load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
