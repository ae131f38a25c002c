"""What operators install names what is there: metrics, options, files."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.docs.test_docs import parse
from tests.serve.conftest import Start, bearer
from tests.serve.world import World

DEPLOY = Path(__file__).parents[2] / "deploy"
_UNIT = DEPLOY / "sfumato-filter.service"
_CONTAINER = DEPLOY / "Containerfile"


def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((DEPLOY / "grafana.json").read_text())["panels"]
    return found


def test_the_dashboard_asks_for_metrics_that_there_are(start: Start, world: World) -> None:
    client, service = start()
    ada = bearer(service, "ada")
    client.post("/v1/enrollments", content=world.small(1), headers=ada)
    client.post("/v1/uploads", content=world.png(8, 0), headers=ada)
    families = list(text_string_to_metric_families(client.get("/metrics").text))
    there = {sample.name: sample.labels for family in families for sample in family.samples}
    asked: set[str] = set()
    for panel in panels():
        for target in panel["targets"]:
            expression = target["expr"]
            names = set(re.findall(r"sfumato_\w+", expression))
            asked |= names
            for name in names:
                assert name in there, f"{panel['title']}: no metric {name}"
            for label in re.findall(r"by \((\w+)\)", expression):
                assert any(label in there[name] for name in names), f"no label {label}"
    own = {name for name in there if name.startswith("sfumato_") and not name.endswith("_created")}
    seconds = {f"sfumato_decision_seconds_{part}" for part in ("count", "sum", "bucket")}
    assert own - seconds == asked - seconds  # and leaves none out
    assert "sfumato_decision_seconds_bucket" in asked


def test_panels_do_not_lie_over_each_other() -> None:
    places = {(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels()}
    assert len(places) == len(panels()) == len({panel["id"] for panel in panels()})


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
def test_the_unit_is_sound_and_hardened(tmp_path: Path) -> None:
    copy = tmp_path / _UNIT.name  # where the package is installed elsewhere
    copy.write_text(_UNIT.read_text().replace("/opt/sfumato/bin/sfumato", "/bin/true"))
    checked = subprocess.run(
        ["systemd-analyze", "verify", copy], capture_output=True, text=True, check=False
    )
    own = [line for line in checked.stderr.splitlines() if _UNIT.name in line]
    assert not own, own
    rated = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=20", copy],
        capture_output=True,
        text=True,
        check=False,
    )
    assert rated.returncode == 0, rated.stdout[-500:]


def test_the_unit_and_the_container_start_a_command_that_exists() -> None:
    unit = re.search(r"^ExecStart=\S+/(sfumato .*)$", _UNIT.read_text(), re.M)
    assert unit is not None
    parse(unit[1])
    text = _CONTAINER.read_text()
    words = [json.loads(m) for m in re.findall(r"^(?:ENTRYPOINT|CMD) (\[.*\])$", text, re.M)]
    assert len(words) == 2
    parse(" ".join(words[0] + words[1]))


def test_the_container_installs_what_is_here() -> None:
    text = _CONTAINER.read_text()
    extras = re.search(r"/source\[([\w,]+)\]", text)
    assert extras is not None
    project = (DEPLOY.parent / "pyproject.toml").read_text()
    for extra in extras[1].split(","):
        assert re.search(rf"^{extra} = \[", project, re.M)
    assert (DEPLOY.parent / "constraints.txt").is_file()
    assert re.search(r"^USER sfumato$", text, re.M)
