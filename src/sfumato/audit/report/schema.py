"""The JSON Schema of `report.json`, made of the types by which the reader checks one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from sfumato.audit.measure.about import Data, Settings
from sfumato.audit.measure.details import KINDS
from sfumato.audit.measure.evidence import Role
from sfumato.audit.measure.jsonvalues import nullable, object_of, schema_of
from sfumato.audit.report.report import SCHEMA
from sfumato.audit.report.sheets import Sheet
from sfumato.types import Details, Finding, Guarantee

_TEXT, _COUNT = {"type": "string"}, {"type": "integer", "minimum": 0}
_NUMBER = {"type": "number"}
_INTERVAL = nullable(schema_of(tuple[float, float]))


def report_schema() -> dict[str, Any]:
    """Return the schema (draft 2020-12) of this version's `report.json`."""
    report = object_of(
        {
            "schema": {"const": SCHEMA},
            "originals": nullable(_TEXT),
            "created": _TEXT,
            "sfumato": _TEXT,
            "environment": schema_of(Mapping[str, str | None]),
            "data": schema_of(Data),
            "settings": schema_of(Settings),
            "verdicts": {"type": "array", "items": _verdict()},
            "guarantees": schema_of(Mapping[str, Guarantee]),
            "cells": {"type": "array", "items": _cell()},
            "pictures": {"type": "array", "items": schema_of(Sheet)},
        }
    )
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"report.json of sfumato audit, schema {SCHEMA}",
        **report,
    }


def _verdict() -> dict[str, Any]:
    return object_of({"protector": _TEXT, "sentence": _TEXT, "originals": _COUNT})


def _cell() -> dict[str, Any]:
    cell = object_of(
        {
            "protector": _TEXT,
            "attack": _TEXT,
            "role": {"enum": list(get_args(Role))},
            "key": _TEXT,
            "victims": _COUNT,
            "seconds": _NUMBER,
            "release_seconds": nullable(_NUMBER),
            "release_bytes": nullable(_NUMBER),
            "reason": nullable(_TEXT),
            "error": nullable(_TEXT),
            "finding": nullable(_finding()),
            "leakage": nullable(_NUMBER),
            "leakage_interval": _INTERVAL,
        }
    )
    # These two are there where there is a finding.
    cell["properties"] |= {"shown": {"type": "boolean"}, "unmeasurable": nullable(_TEXT)}
    return cell


def _finding() -> dict[str, Any]:
    finding = schema_of(Finding)
    finding["properties"]["ceiling"] = nullable(_NUMBER)
    finding["properties"]["details"] = {
        "anyOf": [*(_details(kind, own) for kind, own in sorted(KINDS.items())), _foreign()]
    }
    return finding


def _details(name: str, kind: type[Details]) -> dict[str, Any]:
    own = schema_of(kind, null_is_nan=True)
    return object_of({"kind": {"const": name}, **own["properties"]})


def _foreign() -> dict[str, Any]:
    """Return the schema of an attack's details that is not ours: it may say more."""
    common = schema_of(Details, null_is_nan=True)
    found = object_of({"kind": {"type": "string", "not": {"enum": sorted(KINDS)}}})
    found["properties"] |= common["properties"]
    return found | {"required": ["kind", *common["required"]], "additionalProperties": True}
