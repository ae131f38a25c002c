"""Decisions about every file of a folder; what is no picture stops nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from sfumato.data.listing import list_files
from sfumato.errors import InputError
from sfumato.progress import track
from sfumato.serve.local import Judge
from sfumato.serve.records.decisions import Decision

Judged = tuple[str, Decision | str]
"""A file by its path inside the folder, and the decision, or why there is none."""


def judge_folder(folder: Path, judge: Judge) -> Iterator[Judged]:
    """Yield a decision a file, in order of name, and first what cannot be read at all.

    Raises:
        DataError: there is no such folder, or it cannot be read.
    """
    listing = list_files(folder)
    yield from listing.left_out
    for file in track(listing.files, f"uploads in {folder.name}"):
        try:
            yield file, judge(folder / file)
        except InputError as error:
            yield file, str(error)
