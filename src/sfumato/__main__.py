"""Where the command line begins, as `sfumato` and as `python -m sfumato`.

It loads for a second or more. Whoever presses Ctrl-C meanwhile sees no traceback.
"""

from __future__ import annotations

import sys
from typing import Final

INTERRUPTED: Final = 130
"""The exit code after Ctrl-C, as shells have it."""


def main() -> None:
    """Load the command line and run it."""
    try:
        from sfumato.cli import main as run

        run()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


if __name__ == "__main__":  # a process that a recipe starts imports this file too
    main()
