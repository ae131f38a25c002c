"""Every kind of details comes back from JSON as it was written; what is none is refused."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from types import NoneType
from typing import Any, ClassVar, Literal, get_args, get_origin, get_type_hints

import pytest

from sfumato.attack.copies import CopiesDetails
from sfumato.audit.measure.cell import read_cell
from sfumato.audit.measure.details import KINDS, details_document, read_details
from sfumato.files import MALFORMED
from sfumato.types import Details, Trained, Training
from tests.audit.findings import cell


def example(kind: Any) -> Any:
    """A value of a type, with something in every place."""
    origin, inner = get_origin(kind), get_args(kind)
    if is_dataclass(kind) and isinstance(kind, type):
        hints = get_type_hints(kind)
        return kind(**{field.name: example(hints[field.name]) for field in fields(kind)})
    if origin is tuple:
        return tuple(example(one) for one in (inner[:1] * 2 if inner[-1] is ... else inner))
    if origin is Mapping:
        return {"a": example(inner[1])}
    if origin is Literal:
        return inner[0]
    if NoneType in inner:
        return example(next(one for one in inner if one is not NoneType))
    return {int: 3, float: 0.25, str: "x", bool: True}[kind]


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_comes_back_as_it_was(kind: str) -> None:
    made = example(KINDS[kind])
    document = json.loads(json.dumps(details_document(made), allow_nan=False))
    assert document["kind"] == kind
    assert read_details(document) == made


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_field_of_another_type_or_none_is_refused(kind: str) -> None:
    document = details_document(example(KINDS[kind]))
    for name in document:
        for wrong in (object, [object()], {"a": object()}):
            with pytest.raises(MALFORMED):
                read_details(document | {name: wrong})
    for name in document:
        with pytest.raises(MALFORMED):
            read_details({key: value for key, value in document.items() if key != name})


def test_an_undefined_figure_is_null_and_comes_back_undefined() -> None:
    made = replace(example(CopiesDetails), limit_pixels=math.nan)
    document = details_document(made)
    assert document["limit_pixels"] is None
    assert math.isnan(read_details(document).limit_pixels)  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Mine(Details):
    kind: ClassVar[str] = "mine"
    tries: int


def test_of_a_strangers_attack_what_every_attack_may_report_is_read() -> None:
    training = Training(curves={"validated": (0.5, 0.75)}, best_epoch=1, stopped_early=False)
    trained = (
        Trained(learner="b", seed=0, training=training), Trained(learner="a", seed=1),
        Trained(learner="c", seed=0, chosen=False),
    )  # fmt: skip
    made = _Mine(trained=trained, originals=2, tries=7)
    document = details_document(made)
    assert document["tries"] == 7
    assert read_details(document) == Details(trained=trained, originals=2)
    assert made.used == ("a", "b")


@pytest.mark.parametrize("originals", [-1, True, 1.5, "1", None])
def test_a_count_of_originals_that_is_none_is_refused(originals: object) -> None:
    made = cell("p", "copies", 0.5).document()
    made["finding"]["details"]["originals"] = originals
    with pytest.raises(MALFORMED):
        read_cell(made)


@pytest.mark.parametrize("name", ["value", "floor", "interval"])
@pytest.mark.parametrize("value", [None, 1e999, "0.5", True])
def test_a_figure_that_is_no_number_is_refused(name: str, value: object) -> None:
    made = cell("p", "verify", 0.5).document()
    made["finding"][name] = [value, 1.0] if name == "interval" else value
    with pytest.raises(MALFORMED):
        read_cell(made)
