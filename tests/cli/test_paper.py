"""`sfumato paper` lists, refuses and runs recipes, and says when there is no checkout."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from papers.docl import run as docl
from papers.recipe import Results, Run
from sfumato.cli import paper as command
from sfumato.cli.main import app
from sfumato.errors import ConfigError, UnavailableError


def invoke(*args: str) -> str:
    result = CliRunner().invoke(
        app, ["paper", *args], catch_exceptions=False, standalone_mode=False
    )
    if result.exception is not None:
        raise result.exception
    return result.stdout


def test_without_a_recipe_they_are_listed_each_with_what_it_does() -> None:
    listed = invoke("docl")
    for name in docl.RECIPES:
        assert name in listed
    assert "Fashion-MNIST" in listed


def test_every_recipe_has_full_and_quick_settings() -> None:
    import tomllib

    for name in docl.RECIPES:
        text = (Path(docl.__file__).parent / "recipes" / f"{name}.toml").read_text()
        assert {"full", "quick"} <= set(tomllib.loads(text))


@pytest.mark.parametrize(
    ("args", "message"),
    [(("dolc",), "no paper 'dolc'"), (("docl", "--recipe", "mnits"), "no recipe 'mnits'")],
)
def test_unknown_names_are_refused_with_those_there_are(
    args: tuple[str, ...], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        invoke(*args)


def test_outside_a_checkout_it_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(command, "_CHECKOUT", tmp_path)
    with pytest.raises(UnavailableError, match="clone the repository"):
        invoke("docl")


def test_results_carry_what_made_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def tiny(run: Run, settings: Results) -> Results:
        return {"accuracy": 0.5, "images": settings["images"], "seen": run.seed}

    monkeypatch.setitem(docl.RECIPES, "mnist", tiny)
    printed = invoke(
        "docl", "--recipe", "mnist", "--quick", "--seed", "7", "--out", str(tmp_path), "--json"
    )
    stored = json.loads((tmp_path / "results" / "mnist-quick-seed7.json").read_text())
    assert json.loads(printed) == stored
    assert (stored["accuracy"], stored["seen"], stored["seed"], stored["quick"]) == (
        0.5,
        7,
        7,
        True,
    )
    assert stored["images"] == stored["settings"]["images"]
    assert stored["command"] == "sfumato paper docl --recipe mnist --quick --seed 7"
    assert {"torch", "sfumato", "python"} <= set(stored["versions"])
