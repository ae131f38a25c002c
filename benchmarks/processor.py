"""Which processor measured: figures of two do not compare."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Final

_LINUX: Final = Path("/proc/cpuinfo")


def processor() -> str:
    """Return the processor's name, as its maker or the hypervisor gives it, and how many cores."""
    lines = _LINUX.read_text(encoding="utf-8").splitlines() if _LINUX.is_file() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{named[0] if named else platform.processor() or platform.machine()}, {os.cpu_count()}"
