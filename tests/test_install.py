"""The base installation does what it says, without any extra, and on systems that are not POSIX."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import tomllib
import venv
from importlib.metadata import (
    Distribution,
    PackageNotFoundError,
    packages_distributions,
    requires,
)
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from sfumato.data.decoding.decode import encode_png
from sfumato.data.sources import load

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "src").rglob("*.py"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
POSIX = ["fcntl", "grp", "pty", "pwd", "readline", "resource", "syslog", "termios", "tty"]


def name_of(requirement: str) -> str:
    return re.sub(r"[-_.]+", "-", Requirement(requirement).name).lower()


def closure(names: list[str]) -> set[str]:
    """Return the packages that these bring along, as they are installed here."""
    found: set[str] = set()
    while names:
        name = names.pop()
        if name in found:
            continue
        found.add(name)
        for text in requires(name) or []:
            needed = Requirement(text)
            if needed.marker is None or needed.marker.evaluate({"extra": ""}):
                names.append(name_of(needed.name))
    return found


def left_out() -> list[str]:
    """Return the modules that a base installation has not."""
    base = closure([name_of(text) for text in PROJECT["dependencies"]])
    extras = [
        name_of(text)
        for name, texts in PROJECT["optional-dependencies"].items()
        if name not in ("dev", "docs")
        for text in texts
    ]
    only = {name for name in extras if name not in base and name != "sfumato"}
    modules = packages_distributions().items()
    return sorted(
        module
        for module, owners in modules
        if {re.sub(r"[-_.]+", "-", owner).lower() for owner in owners} <= only
    )


BASE = """
import json, sys
for name in json.loads(sys.argv.pop(1)):
    sys.modules[name] = None
from sfumato.cli.main import main
main()
"""


def pictures(folder: Path) -> None:
    """Write Ada's threes, and eights that somebody else uploads."""
    digits = load("digits")
    for name, digit, some in (("ada", "3", slice(40)), ("new", "3", slice(40, 42))):
        (folder / name).mkdir()
        for i, picture in enumerate(digits.where("digit", digit).images[some]):
            (folder / name / f"{i}.png").write_bytes(encode_png(picture))
    (folder / "new" / "8.png").write_bytes(encode_png(digits.where("digit", "8").images[0]))


ROUTE = (
    "--help",
    "data show digits --out sheet.png",
    "release blur:1 --data folder:ada -o released",
    "filter backbone --spec gradients:1x8x8 -o bank.backbone",
    "filter enroll ada --backbone bank.backbone --preset plain --epochs 5 --hidden 16 --key me.pem "
    "--seed 0 -o me.enrollment",
    "filter bank add me.enrollment --db bank.db --account ada",
    "filter bank list --db bank.db",
    "filter check new --db bank.db --json",
    "features extract digits --backbone raw:1x8x8 --count 10 -o digits.parquet",
)


def test_what_the_extras_bring_is_known() -> None:
    there = left_out()
    assert {"plotly", "datasets", "fastapi", "matplotlib", "psycopg", "resvg_py"} <= {*there}
    assert not {"sqlalchemy", "alembic", "filelock", "pyarrow", "numpy"} & {*there}


def test_the_base_runs_its_filter_and_release_commands(tmp_path: Path) -> None:
    pictures(tmp_path)
    # One process: torch takes seconds to import.
    script = BASE.replace("main()\n", "").replace("import main", "import app") + (
        "for line in json.loads(sys.argv[1]):\n"
        "    try: app(line.split(), standalone_mode=False)\n"
        "    except SystemExit as end: assert not end.code, line\n"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", script, json.dumps(left_out()), json.dumps(ROUTE)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert (tmp_path / "released" / "metadata.csv").is_file()
    total = json.loads(next(x for x in done.stdout.splitlines() if x.startswith('{"files"')))
    assert total["files"] == 3


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("demo", "sfumato[demo]"),
        ("data show characters --out a.png", "sfumato[demo]"),
        ("data show hf:nobody/nothing --out a.png", "sfumato[data]"),
        ("audit --protector none --data digits --private digit --out a", "sfumato[report]"),
        ("filter serve --backbone bank.backbone", "sfumato[serve]"),
        ("filter bank list --db postgresql://me@localhost/bank", "sfumato[serve]"),
    ],
)
def test_what_an_extra_brings_is_named_by_the_command(
    words: str, said: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from typer.testing import CliRunner

    from sfumato import extras
    from sfumato.cli.main import app
    from sfumato.errors import UnavailableError

    monkeypatch.chdir(tmp_path)
    gone = {*left_out()}
    there = extras.find_spec
    monkeypatch.setattr(extras, "find_spec", lambda name: None if name in gone else there(name))
    modules = packages_distributions()
    owners = {name_of(owner) for module in gone for owner in modules[module]}
    known = Distribution.from_name

    def from_name(name: str) -> Distribution:
        if name_of(name) in owners:
            raise PackageNotFoundError(name)
        return known(name)

    monkeypatch.setattr(Distribution, "from_name", from_name)
    done = CliRunner().invoke(app, words.split())
    assert isinstance(done.exception, UnavailableError), repr(done.exception)
    assert said in str(done.exception)


def test_no_module_needs_posix_when_it_is_imported() -> None:
    code = f"""
import builtins, importlib, pkgutil
usual, posix = builtins.__import__, {POSIX}
def careful(name, *rest, **more):
    asks = str((rest[0] if rest else more.get("globals") or {{}}).get("__name__", ""))
    if name in posix and asks.partition(".")[0] == "sfumato":
        raise ImportError(f"{{asks}} imports {{name}}")
    return usual(name, *rest, **more)
builtins.__import__ = careful
import sfumato
for one in pkgutil.walk_packages(sfumato.__path__, "sfumato."):
    if not one.name.startswith(("sfumato.__main__", "sfumato.serve.migrations.")):
        importlib.import_module(one.name)
"""
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT / "src")))
def test_text_has_an_encoding(path: Path) -> None:
    """The default is another one on Windows."""
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call):
            continue
        called = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        given = {keyword.arg for keyword in node.keywords}
        if called in ("read_text", "write_text"):
            told = node.args[0] if node.args and called == "read_text" else None
            assert told is not None or "encoding" in given, f"{path}:{node.lineno}"
        if called == "open" and len(node.args) <= 1 and "encoding" not in given:
            mode = node.args[0] if node.args else None
            text = isinstance(mode, ast.Constant) and mode.value in ("r", "w", "a", "x")
            assert not text, f"{path}:{node.lineno}"


def test_every_file_ends_its_lines_alike() -> None:
    for path in SOURCES:
        assert b"\r" not in path.read_bytes(), path


@pytest.mark.slow
def test_the_wheel_alone_is_enough(tmp_path: Path) -> None:
    """In an environment of its own; the packages are those of `constraints.txt`."""
    pip = [sys.executable, "-m", "pip"]
    subprocess.run(
        [*pip, "wheel", "--quiet", "--no-deps", "--wheel-dir", tmp_path, ROOT], check=True
    )
    (wheel,) = tmp_path.glob("*.whl")
    venv.create(tmp_path / "env", with_pip=True)
    folder = tmp_path / "env" / ("Scripts" if os.name == "nt" else "bin")
    limits = ["--constraint", ROOT / "constraints.txt"]
    install = [folder / "python", "-m", "pip", "install", "--quiet", *limits, wheel]
    subprocess.run(list(map(str, install)), check=True)
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    pictures(tmp_path)
    for line in ROUTE:
        done = subprocess.run(
            [folder / "sfumato", *line.split()],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{line}: {done.stderr[-2000:]}"
    about = subprocess.run(
        [folder / "python", "-m", "pip", "show", "--verbose", "sfumato"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "Programming Language :: Python :: 3.13" in about
    assert "Apache-2.0" in about
