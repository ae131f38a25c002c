"""What a long recipe has finished, kept until all of it is: interrupted, it goes on from there."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

import sfumato
from papers.recipe import Run
from sfumato.errors import ArtifactError
from sfumato.files import read_tensors, write_tensors
from sfumato.fingerprint import fingerprint

_LIMIT_BYTES = 4 << 30

Stage = tuple[dict[str, Any], dict[str, Tensor]]
"""JSON values, and tensors."""


@dataclass(frozen=True)
class Stages:
    """A folder of finished stages, of one recipe with one seed and one set of settings."""

    folder: Path

    @classmethod
    def of(cls, run: Run, settings: Mapping[str, Any]) -> Stages:
        """Return the stages of this run; other settings, seeds, data and versions have others.

        Data and trainings are those that the run has recorded before this is called.
        """
        made_of = (run.seed, run.device, dict(settings), run.data, run.fitted)
        digest = fingerprint(sfumato.__version__, *made_of)[:12]
        return cls(run.keeps(run.out / "stages" / f"{run.name}-{digest}"))

    def keep(self, name: str, make: Callable[[Path], Stage]) -> Stage:
        """Return a finished stage, or make it and keep it.

        `make` is given the path of a checkpoint, from which its own training may go on.
        """
        path = self.folder / f"{name}.safetensors"
        if path.is_file():
            tensors, header = read_tensors(path, limit_bytes=_LIMIT_BYTES, error=ArtifactError)
            return json.loads(header["document"]), tensors
        self.folder.mkdir(parents=True, exist_ok=True)
        document, tensors = make(self.folder / f"{name}.training")
        contiguous = {key: value.contiguous() for key, value in tensors.items()}
        text = json.dumps(document)
        write_tensors(path, contiguous, {"document": text})
        for left in self.folder.glob(f"{name}.training*"):
            left.unlink()
        return json.loads(text), contiguous  # as it will be read, were it read

    def document(self, name: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Return a finished stage of values without tensors, or make it and keep it."""
        return self.keep(name, lambda _: (make(), {}))[0]
