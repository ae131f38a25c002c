from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from sfumato.audit.measure.ceiling import with_ceiling
from sfumato.audit.protectors import open_protector
from sfumato.audit.report.report import read_report
from sfumato.data.imageset import ImageSet
from sfumato.errors import ConfigError, FormatError
from sfumato.types import Guarantee
from tests.audit.findings import cell, finding, report


def test_ceilings_are_of_the_same_attack() -> None:
    mild, bad = finding(0.6, (0.5, 0.7)), finding(0.8, (0.7, 0.9))
    found = with_ceiling(mild, bad)
    assert (found.ceiling, found.ceiling_interval) == (0.8, (0.7, 0.9))
    for weak in (finding(0.5, (0.4, 0.6)), finding(0.4, (0.3, 0.5))):
        assert math.isnan(with_ceiling(bad, weak).ceiling)
        assert with_ceiling(bad, weak).ceiling_interval == weak.interval
    with pytest.raises(ValueError, match="no ceiling"):
        with_ceiling(mild, replace(bad, attack="b"))


_BLANK = report().document()
_FOUND = report(cell("p", "verify", 0.5)).document()["cells"][0]


def test_a_report_comes_back_as_it_was_written(tmp_path: Path) -> None:
    made = report(
        cell("p", "verify", 0.5), cell("q", "verify"), cell("r", "x", reason="none"),
        cell("s", "x", error="broke"),
    )  # fmt: skip
    made = replace(made, guarantees={"p": Guarantee(figures={"k": 10.0}, originals="")})
    read = read_report(made.write(tmp_path))
    assert read.document() == made.document()
    assert read_report(read.write(tmp_path)).document() == made.document()


def test_a_report_of_an_older_version_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text(json.dumps(_BLANK | {"schema": 1}))
    with pytest.raises(FormatError, match="expected report schema 5, got 1; audit anew"):
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
        json.dumps(_BLANK | {"cells": [_FOUND | {"victims": True}]}).encode(),
        json.dumps(_BLANK | {"cells": [_FOUND | {"victims": -1}]}).encode(),
        *(
            json.dumps(_BLANK | {"guarantees": {"p": said}}).encode()
            for said in ({"figures": {"k": 1e999}, "originals": ""}, {"figures": {}})
        ),
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
        ("fog", "one of"),
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
