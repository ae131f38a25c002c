"""Protectors and attacks of installed packages, and of the folder where one works."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from sfumato.attack.tools.learners import LearnerConfig
from sfumato.audit.attacks import Setting, open_attack
from sfumato.audit.protectors import open_protector
from sfumato.errors import ConfigError

SOURCE = """
import sfumato

class Darker(sfumato.Protector):
    def __init__(self, factor="0.5"):
        self.factor = float(factor)
        self.name = f"darker:{factor}"

    def release(self, images):
        return images * self.factor

class Nothing(sfumato.Attack):
    name = "nothing"

    def run(self, victim, knowledge):
        raise NotImplementedError
"""
SETTING = Setting(seeds=(0,), config=LearnerConfig())
Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Put a package with entry points where Python finds installed ones."""

    def put(package: str, points: str, source: str = SOURCE) -> None:
        (tmp_path / f"{package}.py").write_text(source)
        about = tmp_path / f"{package}-1.2.dist-info"
        about.mkdir()
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.2\n")
        (about / "entry_points.txt").write_text(points)
        monkeypatch.delitem(sys.modules, package, raising=False)

    monkeypatch.syspath_prepend(tmp_path)
    return put


def test_an_installed_package_brings_its_own(install: Install) -> None:
    install(
        "darkening",
        "[sfumato.protectors]\ndarker = darkening:Darker\n"
        "[sfumato.attacks]\nnothing = darkening:Nothing\n",
    )
    images = torch.ones(1, 1, 2, 2)
    assert open_protector("darker").release(images).unique().item() == 0.5
    assert open_protector("darker:0.25").release(images).unique().item() == 0.25
    assert open_attack("nothing", SETTING).name == "nothing"
    assert open_attack("darkening:Nothing", SETTING).name == "nothing"
    with pytest.raises(ConfigError, match=r"pixelate:BLOCK.*darker, MODULE:CLASS"):
        open_protector("unheard-of")
    with pytest.raises(ConfigError, match=r"is none of: reconstruct.*nothing; MODULE:CLASS"):
        open_attack("unheard-of", SETTING)


def test_ours_stand_before_a_package_of_the_same_name(install: Install) -> None:
    install("darkening", "[sfumato.protectors]\nblur = darkening:Darker\n")
    assert open_protector("blur:1").name == "blur:1"


@pytest.mark.parametrize(
    ("source", "points", "said"),
    [
        ("import nothing_like_it", "a = broken:A", "ModuleNotFoundError: No module named 'nothing"),
        ("raise OSError('no disk')", "a = broken:A", "cannot be imported: OSError: no disk"),
        ("", "a = broken:A", "cannot be imported: AttributeError"),
        ("class A: pass", "a = broken:A", r"'a' of broken 1\.2 is no protector: subclass"),
        ("def A(x): pass", "a = broken:A", "cannot be made without an argument"),
    ],
)
def test_a_package_that_fails_is_named(
    install: Install, source: str, points: str, said: str
) -> None:
    install("broken", f"[sfumato.protectors]\n{points}\n", source)
    with pytest.raises(ConfigError, match=said) as caught:
        open_protector("a")
    assert "'a' of broken 1.2" in str(caught.value)


def test_two_packages_with_one_name_are_refused(install: Install) -> None:
    for package in ("one", "two"):
        install(package, f"[sfumato.protectors]\ndarker = {package}:Darker\n")
    with pytest.raises(ConfigError, match=r"several packages: one 1\.2, two 1\.2"):
        open_protector("darker")


def test_a_module_of_the_folder_is_found_and_stands_before_none(tmp_path: Path) -> None:
    """As from the installed command: the folder is not on the path by itself."""
    (tmp_path / "mine.py").write_text(SOURCE)
    (tmp_path / "colorsys.py").write_text("raise SystemExit('shadowed')")
    code = (
        "from sfumato.audit.protectors import open_protector as o; import importlib;"
        "name = o('mine:Darker:0.1').name; import colorsys; print(name, len(dir(colorsys)) > 5)"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2] / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == "darker:0.1 True", done.stderr
