"""Where the command line begins."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sfumato.__main__ import INTERRUPTED, main

LOADING = """
import sys

class Interrupted:
    def find_spec(self, name, path=None, target=None):
        if name == {name!r}:
            raise KeyboardInterrupt

sys.meta_path.insert(0, Interrupted())
from sfumato.__main__ import main
main()
"""


@pytest.mark.parametrize("name", ["sfumato.cli", "typer", "sfumato.cli.filter.root"])
def test_ctrl_c_while_it_loads_ends_it_without_a_traceback(name: str, tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", LOADING.format(name=name)],
        capture_output=True, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert (run.returncode, run.stdout, run.stderr) == (INTERRUPTED, "", "")


def test_ctrl_c_in_a_command_ends_it_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("sfumato.cli.main", interrupted)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == INTERRUPTED
