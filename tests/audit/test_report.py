from __future__ import annotations

import json
from pathlib import Path

import pytest

from sfumato.audit.metrics import at_floor, leakage, leakage_interval, with_ceiling, worst
from sfumato.audit.protectors import open_protector
from sfumato.audit.report import read_report
from sfumato.data.imageset import ImageSet
from sfumato.errors import ConfigError, FormatError
from sfumato.types import Finding
from tests.audit.findings import cell, finding, report


def test_leakage_and_its_interval_by_hand() -> None:
    found = finding(0.7, (0.6, 0.8))
    assert leakage(found) == pytest.approx(0.5)
    assert leakage_interval(found) == pytest.approx((0.25, 0.75))
    assert not at_floor(found)
    assert at_floor(finding(0.52, (0.45, 0.6)))
    assert at_floor(finding(0.4, (0.3, 0.45)))


def test_leakage_of_a_distance_grows_as_the_distance_shrinks() -> None:
    found = finding(0.25, (0.2, 0.3), ceiling=0.0)
    assert leakage(found) == pytest.approx(0.5)
    assert leakage_interval(found) == pytest.approx((0.4, 0.6))
    assert at_floor(finding(0.49, (0.45, 0.53), ceiling=0.0))


def test_without_a_span_there_is_no_leakage() -> None:
    found = finding(0.5, (0.4, 0.6), ceiling=0.5)
    assert leakage(found) is None
    assert leakage_interval(found) is None
    assert at_floor(found)
    assert worst([found]) is None


def test_the_worst_attack_counts_and_ceilings_are_of_the_same_attack() -> None:
    mild, bad = finding(0.6, (0.5, 0.7)), finding(0.8, (0.7, 0.9))
    assert worst([mild, bad]) is bad
    assert with_ceiling(mild, bad).ceiling == 0.8
    assert leakage(with_ceiling(bad, finding(0.5, (0.4, 0.6)))) is None
    assert leakage(with_ceiling(bad, finding(0.4, (0.3, 0.5)))) is None
    other = Finding(
        attack="b",
        protector="p",
        metric="m",
        value=0.0,
        floor=0.0,
        ceiling=1.0,
        interval=(0.0, 0.0),
        seeds=(0,),
    )
    with pytest.raises(ValueError, match="no ceiling"):
        with_ceiling(mild, other)


_BLANK = report().document()
_FOUND = report(cell("p", "verify", 0.5)).document()["cells"][0]


def test_a_report_comes_back_as_it_was_written(tmp_path: Path) -> None:
    made = report(
        cell("p", "verify", 0.5), cell("q", "verify"), cell("r", "x", reason="none"),
        cell("s", "x", error="broke"),
    )  # fmt: skip
    read = read_report(made.write(tmp_path))
    assert read.document() == made.document()
    assert read_report(read.write(tmp_path)).document() == made.document()


def test_a_report_of_an_older_version_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text(json.dumps(_BLANK | {"schema": 1}))
    with pytest.raises(FormatError, match="expected report schema 3, got 1; audit anew"):
        read_report(path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{}",
        b'{"schema": 99}',
        b"[" * 100_000,
        b"\xff\xfe",
        json.dumps(_BLANK | {"cells": [{}]}).encode(),
        json.dumps(_BLANK | {"cells": {"a": 1}}).encode(),
        json.dumps(_BLANK | {"data": 5}).encode(),
        json.dumps(_BLANK | {"cells": ["text"]}).encode(),
        json.dumps(_BLANK | {"cells": [_FOUND | {"reason": "both"}]}).encode(),
        json.dumps(_BLANK | {"cells": [_FOUND | {"finding": None}]}).encode(),
        json.dumps(_BLANK | {"cells": [_FOUND | {"seconds": 1e999}]}).encode(),
        json.dumps(_BLANK | {"settings": {}}).encode(),
        json.dumps(_BLANK | {"settings": _BLANK["settings"] | {"seeds": ["x"]}}).encode(),
        json.dumps(_BLANK | {"data": {"victims": {}, "adversary": {}}}).encode(),
        *(
            json.dumps(
                _BLANK | {"pictures": [{"protector": "p", "file": file, "rows": []}]}
            ).encode()
            for file in ("../secret.png", "/etc/passwd", "a/b.png", ".png", "report.json")
        ),
    ],
)
def test_a_report_that_is_none_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "report.json"
    path.write_bytes(content)
    with pytest.raises(FormatError):
        read_report(path)


def test_a_missing_report_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="cannot read"):
        read_report(tmp_path / "none.json")


@pytest.mark.parametrize(
    ("spec", "match"),
    [
        ("fog", "none of"),
        ("blur:x", "number"),
        ("blur", "number"),
        ("pixelate:1.5", "whole"),
        ("none:1", "no setting"),
        ("no.such.module:Class", "imported"),
        ("sfumato.types:Finding2", "imported"),
        ("pathlib:Path", "no protector"),
    ],
)
def test_a_wrong_protector_says_what_there_is(blobs: ImageSet, spec: str, match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        open_protector(spec, blobs)


def test_protectors_by_name_and_of_ones_own(blobs: ImageSet) -> None:
    for spec in ("none", "noise:0.5", "blur:2", "pixelate:3"):
        assert open_protector(spec, blobs).name == spec
    for spec in ("features:raw", "shufflebits:raw", "sealed:raw"):
        assert open_protector(spec, blobs).name == f"{spec}:1x8x8"
    assert open_protector("sfumato.protect.baselines:Unprotected", blobs).name == "none"
