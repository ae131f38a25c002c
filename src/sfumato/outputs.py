"""Where a result may not go, said before any work: over what is needed, or in its own source."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from sfumato.errors import InputError


def refuse_lost(path: Path, needed: Iterable[Path]) -> None:
    """Raise an InputError where a file to be written is one of those that are needed as they are.

    A key that is overwritten by what it sealed or signed is gone for good.
    """
    if any(_is_same(path, each) for each in needed):
        raise InputError(f"cannot write {path}: it is read here, and would be lost; name another")


def _is_same(one: Path, other: Path) -> bool:
    try:
        return os.path.samefile(one, other)  # whatever capitals a disk takes for the same
    except OSError:
        return os.path.realpath(one) == os.path.realpath(other)


def refuse_taken(path: Path, what: str) -> None:
    """Raise an InputError where anything is at `path`, the place for a new folder of `what`."""
    if os.path.lexists(path):
        raise InputError(f"{path} exists already; choose another folder for {what}")


def refuse_inside(path: Path, source: Path) -> None:
    """Raise an InputError where `path`, a new folder, lies in the folder that it is made of."""
    if path.resolve().is_relative_to(source.resolve()):
        raise InputError(
            f"{path} lies in {source}, and would be read with it the next time; choose a folder "
            "outside of it"
        )
