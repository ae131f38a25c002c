"""`sfumato paper`: run a paper's recipe, write its results and figures."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Annotated

import typer

from sfumato.cli.options import AsJson, DataDir, Device, Seed, finish, folder_to_write
from sfumato.errors import ConfigError, UnavailableError

_CHECKOUT = Path(__file__).parents[3]


def paper(
    slug: Annotated[str, typer.Argument(help="docl, shufflebits, san, anonymizer or obfuscator.")],
    recipe: Annotated[
        str | None, typer.Option(help="Which of its recipes; without it, they are listed.")
    ] = None,
    quick: Annotated[bool, typer.Option(help="Minutes instead of full size; says so.")] = False,
    data_dir: DataDir = None,
    out: Annotated[
        Path | None,
        typer.Option(
            callback=folder_to_write, help="Folder for results and figures; the paper's own folder."
        ),
    ] = None,
    seed: Seed = 0,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Reproduce a paper's tables and figures from its recipe (needs a checkout)."""
    known = sorted(p.parent.name for p in _papers().glob("*/run.py"))
    if slug not in known:
        raise ConfigError(f"there is no paper {slug!r}; there are: {', '.join(known)}")
    folder = _papers() / slug
    sys.path.insert(0, str(_CHECKOUT))
    recipes = importlib.import_module(f"papers.{slug}.run").RECIPES
    if recipe is None:
        for name, make in recipes.items():
            typer.echo(f"{name:12} {make.__doc__.splitlines()[0]}")
        return
    if recipe not in recipes:
        raise ConfigError(f"{slug} has no recipe {recipe!r}; it has: {', '.join(recipes)}")
    framework = importlib.import_module("papers.recipe")
    run = framework.Run(
        slug=slug,
        recipe=recipe,
        quick=quick,
        seed=seed,
        device=device,
        data_dir=data_dir,
        out=out or folder,
    )
    path, results = framework.execute(run, recipes[recipe])
    finish(results, f"{framework.summary(results)}\n\nresults: {path}", as_json=as_json)


def _papers() -> Path:
    folder = _CHECKOUT / "papers"
    if not folder.is_dir():
        raise UnavailableError(
            "the papers' recipes are not part of the installed package; "
            "clone the repository and run the command there"
        )
    return folder
