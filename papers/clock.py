"""How long a recipe takes, over all its starts: an interrupted one goes on from parts it kept.

The seconds lie beside the parts, and go with them. A start that kept nothing has cost nothing that
the next one saves, and is not counted.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread
from types import TracebackType

from sfumato.errors import SfumatoError
from sfumato.files import write_bytes

_FILE = "seconds.json"
_EVERY = 5.0


def seconds_before(folder: Path) -> float:
    """Return the seconds that earlier starts took, whose parts are in this folder."""
    path = folder / _FILE
    return float(json.loads(path.read_text())) if path.is_file() else 0.0


class Clock:
    """Counts from its making, and writes every few seconds, so that a killed start counts too."""

    def __init__(self, parts: Mapping[Path, float], *, every: float = _EVERY) -> None:
        self._parts, self._every = parts, every
        self._start, self._ended = time.perf_counter(), Event()
        self._thread = Thread(target=self._run, daemon=True)

    @property
    def seconds(self) -> float:
        """The seconds of this start and of those whose parts it went on from."""
        return time.perf_counter() - self._start + max(self._parts.values(), default=0.0)

    def __enter__(self) -> Clock:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()
        self._write()

    def _run(self) -> None:
        while not self._ended.wait(self._every):
            self._write()

    def _write(self) -> None:
        now = json.dumps(round(self.seconds, 1)).encode()
        for folder in list(self._parts):
            if folder.is_dir():
                # Where nothing can be written the recipe itself says so, with its next part.
                with suppress(SfumatoError):
                    write_bytes(folder / _FILE, now)
