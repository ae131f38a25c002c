"""The namespaces are typed, listed in their own help, and cost nothing to import."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

import sfumato
from sfumato.audit.namespace import AuditNamespace
from tests.waiting import PATIENCE

ROOT = Path(__file__).parents[1]
NAMESPACES = ["attack", "audit", "cipher", "data", "features", "filter", "protect", "serve"]


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=PATIENCE
    )


def test_looking_around_imports_nothing_else() -> None:
    code = f"""
import sys
before = set(sys.modules)
import sfumato
for name in {NAMESPACES}:
    assert dir(getattr(sfumato, name)), name
assert dir(sfumato)
new = {{name for name in set(sys.modules) - before if not name.startswith("sfumato")}}
# What the standard library brings along is its own affair.
print(sorted(name for name in new if name.split(".")[0] not in sys.stdlib_module_names))
"""
    done = python(code)
    assert done.stdout.strip() == "['lazy_loader']", done.stdout + done.stderr


def test_every_name_is_the_one_of_its_module() -> None:
    from sfumato.cipher.shufflebits import ShuffleBits
    from sfumato.filter.enroll import enroll
    from sfumato.protect.pretrained import open_pretrained
    from sfumato.protect.san.fit import fit_san
    from sfumato.types import Protector

    assert sfumato.ShuffleBits is ShuffleBits is sfumato.cipher.ShuffleBits
    assert sfumato.open_pretrained is open_pretrained is sfumato.protect.open_pretrained
    assert sfumato.fit_san is fit_san is sfumato.protect.fit_san
    assert sfumato.filter.enroll is enroll  # though its module has the same name
    assert sfumato.Protector is Protector


@pytest.mark.parametrize("name", ["sfumato", *(f"sfumato.{name}" for name in NAMESPACES)])
def test_help_lists_each_name_once_and_each_exists(name: str) -> None:
    module = importlib.import_module(name)
    listed = re.findall(r"^- ([\w, ]+): .+\.$", str(module.__doc__), re.M)
    names = [each for line in listed for each in line.split(", ")]
    assert sorted(names) == sorted(set(dir(module)) - {"__version__"})
    assert all(getattr(module, each) is not None for each in dir(module))


@pytest.mark.parametrize("name", ["sfumato", *(f"sfumato.{name}" for name in NAMESPACES)])
def test_a_type_checker_sees_the_same_names(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__file__ is not None
    stub = ast.parse(Path(module.__file__).with_suffix(".pyi").read_text())
    declared = next(n.value for n in stub.body if isinstance(n, ast.Assign))
    assert sorted(ast.literal_eval(declared)) == sorted(dir(module))


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="protekt"):
        sfumato.protekt  # noqa: B018
    assert not hasattr(sfumato, "load")


@pytest.mark.parametrize(
    "first",
    [pytest.param(name, marks=pytest.mark.slow) for name in ("sfumato", "sfumato.audit")]
    + ["sfumato.audit.run"],
)
def test_the_audit_can_be_called_however_it_was_imported(first: str) -> None:
    done = python(
        f"import {first}, sfumato; assert callable(sfumato.audit) and sfumato.audit.sides"
    )
    assert done.returncode == 0, done.stderr


def test_calling_the_namespace_runs_an_audit() -> None:
    victims, adversary = sfumato.audit.sides(sfumato.data.load("digits", count=60))
    report = sfumato.audit(
        [sfumato.protect.Pixelate(4)],
        victims=victims,
        adversary=adversary,
        private="digit",
        attacks=(),
        config=sfumato.attack.LearnerConfig(
            learners=("probe",), epochs=1, restarts=1, device="cpu"
        ),
    )
    assert isinstance(report, sfumato.audit.Report)


def test_a_type_checker_sees_every_name_of_the_audit() -> None:
    source = ast.parse((ROOT / "src" / "sfumato" / "audit" / "namespace.py").read_text())
    block = next(n for n in ast.walk(source) if isinstance(n, ast.If) and n.orelse)
    typed = {t.id for n in block.body if isinstance(n, ast.Assign) for t in n.targets}  # type: ignore[attr-defined]
    assert typed - {"__call__"} == set(dir(sfumato.audit))
    assert isinstance(sfumato.audit, AuditNamespace)


def test_the_page_lists_every_name() -> None:
    page = (ROOT / "docs" / "api.md").read_text()
    listed = re.findall(r"^\| `sfumato\.(\w+)` \|", page, re.M)
    assert sorted(listed) == sorted(set(dir(sfumato)))
