"""What is released of a folder of photographs and films, and how."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from sfumato._version import __version__
from sfumato.data.listing import list_files
from sfumato.fingerprint import fingerprint
from sfumato.photo.choice import Chooser
from sfumato.photo.config import FaceConfig
from sfumato.types import Protector


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What is released, and how."""

    protector: Protector
    source: Path
    out: Path
    config: FaceConfig = field(default_factory=FaceConfig)
    keep_names: bool = False
    """Whether files keep their names and folders, which often say who, where and when."""
    boxes: Path | None = None
    """A person's corrected table: its boxes are what is protected."""
    chooser: Chooser | None = None
    mute: bool = False
    """Whether films lose their sound."""

    def made_of(self) -> dict[str, str]:
        """Return what the release depends on, by the words of a message."""
        files = [self.source / file for file in list_files(self.source).files]
        states = [(str(f), f.stat().st_size, f.stat().st_mtime_ns) for f in files if f.is_file()]
        table = (
            "" if self.boxes is None else self.boxes.read_text(encoding="utf-8", errors="replace")
        )
        chosen = "" if self.chooser is None else self.chooser.fingerprint
        return {
            "the protector": fingerprint(self.protector),
            "the photographs": fingerprint(states),
            "the table of boxes": table,
            "how faces are found": json.dumps(asdict(self.config)) + chosen,
            "whether names or sound are kept": f"{self.keep_names} {self.mute}",
            "the version of sfumato": __version__,
        }


def beside(out: Path, ending: str) -> Path:
    """Return where what is not handed on lies: beside the release, never inside."""
    return out.with_name(f"{out.name}.{ending}")
