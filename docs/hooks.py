"""Puts the papers' figures, which lie beside their recipes, into the site."""

from __future__ import annotations

from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

PAPERS = Path(__file__).parents[1] / "papers"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add each figure as papers/SLUG/figures/NAME."""
    for path in sorted(PAPERS.glob("*/figures/*.png")):
        place = f"papers/{path.relative_to(PAPERS).as_posix()}"
        files.append(File.generated(config, place, abs_src_path=str(path)))
    return files
