"""No module reaches into another's private names, tests and recipes included."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted(
    path
    for folder in ("src", "papers", "benchmarks", "tests", "docs")
    for path in (ROOT / folder).rglob("*.py")
)
PUBLIC = {
    "_asdict", "_fields", "_make", "_replace",  # a named tuple's
    "_exit",  # of os
    "_fieldnames",  # of scipy's MATLAB structures
    "_hub_mixin_config",  # of huggingface_hub's mixin, for its subclasses
    "_mapping",  # of an SQLAlchemy row
    "_C", "_acc", "_make_wrapper_subclass", "_schema",  # of PyTorch, for a device of one's own
    "_setup_privateuseone_for_python_backend",
}  # fmt: skip
"""Names that their libraries document in spite of the underscore."""


def private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and name not in PUBLIC


def of_self(node: ast.Attribute) -> bool:
    return isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")


def own(tree: ast.AST) -> set[str]:
    """Names that a file defines itself: functions, classes, variables, attributes of self."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and of_self(node):
            found.add(node.attr)
    return found


def reached_into(source: str) -> list[str]:
    """Return the private names of others that a file uses, with their lines."""
    tree = ast.parse(source)
    mine, found = own(tree), []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            found += [f"{node.lineno}: {a.name}" for a in node.names if private(a.name)]
        elif isinstance(node, ast.Attribute) and private(node.attr) and not of_self(node):
            found += [f"{node.lineno}: {ast.unparse(node)}"] * (node.attr not in mine)
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_uses_private_names_of_another(path: Path) -> None:
    assert reached_into(path.read_text()) == []


@pytest.mark.parametrize(
    "line",
    ["from a import _b", "import a\na._b()", "def f(x):\n    return x._b.c", "super()._b()"],
)
def test_the_rule_finds(line: str) -> None:
    assert len(reached_into(line)) == 1


def test_a_class_may_use_its_own_on_another_instance() -> None:
    text = "class A:\n    def f(self, other):\n        self._x = 1\n        return other._x"
    assert reached_into(text) == []
