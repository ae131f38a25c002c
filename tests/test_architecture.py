"""Imports go one way, every module says what it is, and the README's tree is true."""

from __future__ import annotations

import ast
import graphlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "sfumato"

STAGES = [
    {"_version", "errors", "printable", "types"},
    {
        "counted",
        "device",
        "extras",
        "files",
        "fingerprint",
        "intervals",
        "progress",
        "wheelfiles",
    },
    {"cluster", "config", "newfile", "outputs"},
    {"data"},
    {"nets"},
    {"fit"},
    {"features"},
    {"filter", "cipher"},
    {"protect"},
    {"photo"},
    {"attack"},
    {"audit"},
    {"serve", "demo"},
    {"cli"},
    {"__main__"},
]
INNER = {
    "data": [
        {"cache", "decoding", "leftout", "order", "pixels"},
        {"imageset", "listing", "metadata", "options"},
        {"assemble", "sheet", "splits"},
        {"folder", "hub"},
        {"faces", "sets"},
        {"sources"},
        {"lazy"},
    ],
    "filter": [
        {"bounds", "codes"},
        {"enrollment", "neardup", "oneclass", "rule"},
        {"bank", "copies", "enroll", "private_pictures", "views"},
        {"device", "enrolled", "exchange"},
        {"calibrate"},
    ],
    "protect": [
        {"baselines", "deformation", "encrypted", "labels", "pretrained", "transforms"},
        {"augment", "fitted"},
        {"anonymizer", "obfuscator", "san"},
        {"prototypes"},
        {"release"},
    ],
    "photo": [
        {"clock", "collection", "config", "kind", "names", "original"},
        {"find"},
        {"blend", "choice", "track"},
        {"boxes", "job", "video", "who"},
        {"progress", "stills"},
        {"review", "search"},
        {"album"},
        {"compare", "dryrun"},
    ],
    "attack": [
        {"tools"},
        {"album", "attributes", "on_cipher", "on_filter", "reidentify", "verify"},
        {"copies", "faces", "groups", "linkage", "membership", "reconstruct"},
    ],
    "audit": [
        {"plugins"},
        {"attacks", "protectors"},
        {"faces"},
        {"measure"},
        {"report"},
        {"run"},
        {"namespace"},
    ],
    "serve": [
        {"limits", "tls"},
        {"database", "settings", "waiting", "wire"},
        {"clients", "migrations", "pictures", "records"},
        {"bank"},
        {"backup", "local", "service"},
        {"moderating"},
        {"http"},
        {"features", "web"},
        {"app", "tryout"},
        {"run"},
        {"sharded"},
    ],
}
"""The floors inside a part, lowest first: a name is a folder or a file of it."""
RANK = {name: rank for rank, stage in enumerate(STAGES) for name in stage}
FILES = sorted(PACKAGE.rglob("*.py"))


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def names_imported(path: Path) -> set[str]:
    """Every name of the package that a file imports, inside functions as well, dotted."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
            assert "sfumato" not in names, f"{path}: imports the whole package, which is above it"
        else:
            continue
        found |= {n for n in names if n.startswith("sfumato.")}
    return found


def imported(path: Path) -> set[str]:
    """Every part of the package that a file imports."""
    return {name.split(".")[1] for name in names_imported(path)}


def arrows(part: str) -> set[tuple[str, str]]:
    """Who imports whom inside a part, between its folders and files."""
    found = set()
    for path in (PACKAGE / part).rglob("*.py"):
        here = path.relative_to(PACKAGE / part).parts[0].removesuffix(".py")
        there = {n.split(".")[2] for n in names_imported(path) if n.startswith(f"sfumato.{part}.")}
        found |= {(here, other) for other in there - {here} if here != "__init__"}
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_go_one_way(path: Path) -> None:
    part = part_of(path)
    if part == "__init__":
        assert not imported(path)  # by name and when first used: `tests/test_namespace.py`
        return
    for other in imported(path) - {part}:
        assert RANK[other] < RANK[part], f"{part} may not import {other}"


@pytest.mark.parametrize("part", sorted(INNER))
def test_imports_inside_a_part_go_one_way(part: str) -> None:
    floors = {name: floor for floor, names in enumerate(INNER[part]) for name in names}
    there = {p.relative_to(PACKAGE / part).parts[0] for p in (PACKAGE / part).rglob("*.py")}
    assert {name.removesuffix(".py") for name in there} - {"__init__"} == set(floors)
    up = {(a, b) for a, b in arrows(part) if floors[b] >= floors[a]}
    assert not up, f"{part}: these import upwards or sideways"


def test_no_module_imports_itself_by_others() -> None:
    dotted = {
        ".".join(("sfumato", *p.relative_to(PACKAGE).with_suffix("").parts)): p for p in FILES
    }
    needs = {
        name: {n if n in dotted else n.rpartition(".")[0] for n in names_imported(path)}
        for name, path in dotted.items()
        if path.name != "__init__.py"
    }
    tuple(graphlib.TopologicalSorter(needs).static_order())  # a circle raises


@pytest.mark.parametrize("path", sorted((ROOT / "tests").rglob("test_*.py")), ids=str)
def test_a_test_lies_where_its_module_lies(path: Path) -> None:
    """A folder of tests is a folder of the package, or of papers, benchmarks or docs."""
    folder = path.parent.relative_to(ROOT / "tests")
    mirrored = (PACKAGE / folder, ROOT / folder)
    assert any(place.is_dir() for place in mirrored), f"{folder}: tests of nothing"


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
