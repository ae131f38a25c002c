from __future__ import annotations

from pathlib import Path
from typing import Any

from sfumato.photo.boxes import Box, read_boxes
from sfumato.photo.find.box import Face
from sfumato.photo.progress import Seen
from sfumato.photo.review import doubt, write_review
from tests.photo.album import encoded, picture

SURE = Box(face=Face(left=180, top=55, right=275, bottom=180, score=0.9), protect=True)
UNSURE = Box(face=Face(left=400, top=20, right=460, bottom=90, score=0.3), protect=False)


def seen(file: str, *boxes: Box) -> Seen:
    return Seen(file=file, name=file, size=(512, 512), boxes=boxes)


def test_the_least_certain_come_first() -> None:
    assert doubt(seen("a", SURE, UNSURE), 0.5) < doubt(seen("b", SURE), 0.5) < doubt(seen("c"), 0.5)


def test_a_person_switches_a_box_draws_one_and_saves_the_table(
    browser: Any, tmp_path: Path
) -> None:
    for name in ('a, "b".png', "nobody.png"):
        (tmp_path / name).write_bytes(encoded(picture(), "PNG"))
    page = tmp_path / "review.html"
    write_review(page, tmp_path, [seen('a, "b".png', SURE, UNSURE), seen("nobody.png")], 0.5)
    opened = browser.new_page(viewport={"width": 1280, "height": 900}, accept_downloads=True)
    faults: list[str] = []
    opened.on("console", lambda message: faults.append(message.text))
    opened.on("pageerror", lambda error: faults.append(str(error)))
    opened.goto(page.as_uri())
    opened.locator(".box.no").click()
    place = opened.locator(".photo").first.bounding_box()
    opened.mouse.move(place["x"] + place["width"] * 0.1, place["y"] + place["height"] * 0.5)
    opened.mouse.down()
    opened.mouse.move(place["x"] + place["width"] * 0.3, place["y"] + place["height"] * 0.75)
    opened.mouse.up()
    assert opened.locator("#state").inner_text() == "2 changes not saved yet."
    with opened.expect_download() as download:
        opened.locator("#save").click()
    download.value.save_as(tmp_path / "boxes.csv")
    opened.close()
    assert faults == []
    boxes = read_boxes(tmp_path / "boxes.csv")
    assert boxes["nobody.png"] == []
    assert [box.protect for box in boxes['a, "b".png']] == [True, True, True]
    drawn = boxes['a, "b".png'][2].face
    assert abs(drawn.left - 51) < 3
    assert abs(drawn.bottom - 384) < 3
