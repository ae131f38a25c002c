"""What a decision on the command line imports: counted by module, because time depends on load."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from sfumato.data.decoding.decode import encode_png
from tests.serve.world import World

NEEDLESS = {
    "accelerate", "alembic", "datasets", "fastapi", "pandas", "plotly", "scipy", "sklearn",
    "timm", "torchmetrics", "torchvision", "uvicorn",
}  # fmt: skip
RUN = """
import json, sys
from sfumato.cli import app
app(sys.argv[1:], standalone_mode=False)
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""


def imported(*arguments: object) -> set[str]:
    command = [sys.executable, "-c", RUN, "filter", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.slow
def test_a_decision_imports_nothing_that_it_does_not_use(world: World, tmp_path: Path) -> None:
    (tmp_path / "me.enrollment").write_bytes(world.enrollments[0])
    picture = world.images[1][0].repeat_interleave(3, 1).repeat_interleave(3, 2)
    (tmp_path / "new.png").write_bytes(encode_png(picture))  # of a size that has to be changed
    place = ("--db", tmp_path / "bank.db")
    add = ("bank", "add", tmp_path / "me.enrollment", *place, "--account", "ada")
    new = imported(*add)
    assert new & NEEDLESS == {"alembic"}  # which makes the tables
    assert not imported(*add) & NEEDLESS
    check = ("check", tmp_path / "new.png", *place, "--backbone", world.backbone_file)
    checked = imported(*check)
    assert not checked & NEEDLESS
    assert "torch" in checked
