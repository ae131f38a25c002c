"""The fork server's first import: it runs the server anew, without the service's environment.

Tokens, passwords and databases may be in it. What an environment was when a program began stays in
its memory, and in that of all copies, so that it cannot be emptied later.
"""

from __future__ import annotations

import os
import sys
from typing import Final

KEPT: Final = (
    "PYTHON",
    "LD_",
    "DYLD_",
    "LC_",
    "LANG",
    "TZ",
    "OMP_",
    "MKL_",
    "OPENBLAS_",
    "MALLOC_",
)
"""How the names of variables begin that interpreters and libraries of computing go by."""
_SERVER: Final = "from multiprocessing.forkserver import main"


def kept_of(environment: dict[str, str]) -> dict[str, str]:
    """Return of an environment what computing needs."""
    return {name: value for name, value in environment.items() if name.startswith(KEPT)}


def _run_anew() -> None:
    if not sys.orig_argv[-1].startswith(_SERVER):
        return
    kept = kept_of(dict(os.environ))
    if kept != dict(os.environ):
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], kept)  # noqa: S606


_run_anew()
