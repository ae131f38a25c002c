"""Settings of the filter service."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sfumato.config import setting
from sfumato.device import Device, parse_device
from sfumato.serve.limits import Limits
from sfumato.serve.tls import Tls


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeSettings(Limits):
    """What one service process runs with."""

    backbone: Path
    """The provider's public backbone file; every enrollment must be made with it."""
    database: str = "sfumato.db"
    """A SQLite file, sqlite:///FILE or postgresql://USER@HOST/NAME: where everything is kept."""
    host: str = "127.0.0.1"
    """Address to listen on; anything but loopback needs TLS, here or by a proxy in front."""
    port: int = 8080
    """TCP port; 0 takes a free one and prints it."""
    shortlist: float | None = setting(
        None,
        "`reach` of a shortlist (`filter.bank.shortlist`), which leaves out enrollments that "
        "cannot match an upload; None scores all.",
        least=0,
    )
    device: Device = "cpu"
    """Where enrollments are kept and scored; shards score theirs on the CPU."""
    tls: Tls | None = None
    """Certificate and key to serve HTTPS with; None serves HTTP."""

    def __post_init__(self) -> None:
        # Not super(): a dataclass with slots is another class than the one that is written here.
        Limits.__post_init__(self)
        parse_device(self.device)
