"""Which files of a folder are films: by the ends of their names."""

from __future__ import annotations

from typing import Final

FILM_SUFFIXES: Final = (".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi")


def is_film(file: str) -> bool:
    """Return whether a file's name says that it is a film."""
    return file.lower().endswith(FILM_SUFFIXES)
