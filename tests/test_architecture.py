"""Imports go one way, every module says what it is, and the README's tree is true."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "sfumato"

STAGES = [
    {"errors", "types"},
    {"device", "files", "fingerprint", "progress"},
    {"data"},
    {"nets"},
    {"fit"},
    {"features"},
    {"filter", "cipher"},
    {"protect"},
    {"attack"},
    {"audit"},
    {"serve", "demo"},
    {"scale"},
    {"cli"},
    {"__main__"},
]
RANK = {name: rank for rank, stage in enumerate(STAGES) for name in stage}
FILES = sorted(PACKAGE.rglob("*.py"))


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(path: Path) -> set[str]:
    """Every part of the package that a file imports, inside functions as well."""
    parts = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        parts |= {n.split(".")[1] for n in names if n.startswith("sfumato.")}
    return parts - {"__version__"}


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_go_one_way(path: Path) -> None:
    part = part_of(path)
    if part == "__init__":
        # By name and when first used; which names, `tests/test_namespace.py` says.
        assert not imported(path) & {"data", "filter", "serve", "demo", "cli"}
        return
    for other in imported(path) - {part}:
        assert RANK[other] < RANK[part], f"{part} may not import {other}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_every_module_has_a_contract_and_a_readable_length(path: Path) -> None:
    text = path.read_text()
    assert ast.get_docstring(ast.parse(text)), f"{path}: no module docstring"
    assert len(text.splitlines()) <= 400, f"{path}: split it"


def test_the_library_never_imports_papers_or_unpickles() -> None:
    for path in FILES:
        text = path.read_text()
        assert not re.search(r"^\s*(from|import) papers\b", text, re.M), path
        assert not re.search(
            r"(\bpickle\.loads?|(?<!safetensors\.)\btorch\.load|\bjoblib\.load)\(", text
        ), path


def test_the_readme_tree_names_what_is_there() -> None:
    tree = re.search(r"```\nsrc/sfumato/\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    assert tree is not None
    named = {name.rstrip("/") for name in re.findall(r"^  ([\w.]+/?)", tree[1], re.M)}
    there = {part_of(path) for path in FILES} - {"__init__", "__main__"}
    assert {name.removesuffix(".py") for name in named} == there


def test_the_wheel_holds_the_package_only() -> None:
    settings = (ROOT / "pyproject.toml").read_text()
    assert 'packages = ["src/sfumato"]' in settings
