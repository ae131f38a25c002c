from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sfumato.photo.boxes import Box, Boxes, read_boxes, write_boxes
from sfumato.photo.find.box import Face
from sfumato.photo.progress import Seen
from sfumato.photo.review import doubt, write_review
from sfumato.photo.track import Track
from sfumato.photo.video.watched import Watched
from tests.browser import SCREENS, Tab
from tests.photo.album import encoded, picture
from tests.photo.video import films

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
    opened = Tab(browser, viewport={"width": 1280, "height": 900}, accept_downloads=True)
    tab = opened.tab
    tab.goto(page.as_uri())
    tab.locator(".box.no").click()
    place = tab.locator(".photo").first.bounding_box()
    tab.mouse.move(place["x"] + place["width"] * 0.1, place["y"] + place["height"] * 0.5)
    tab.mouse.down()
    tab.mouse.move(place["x"] + place["width"] * 0.3, place["y"] + place["height"] * 0.75)
    tab.mouse.up()
    assert tab.locator("#state").inner_text() == "2 changes not saved yet."
    boxes = saved(tab, tmp_path / "boxes.csv").photos
    opened.context.close()
    assert opened.said == []
    assert boxes["nobody.png"] == []
    assert [box.protect for box in boxes['a, "b".png']] == [True, True, True]
    drawn = boxes['a, "b".png'][2].face
    assert abs(drawn.left - 51) < 3
    assert abs(drawn.bottom - 384) < 3


def track(name: str, left: float, score: float, start: int = 0, end: int = 200) -> Track:
    points = [
        (ms, Face(left=left + ms / 10, top=30, right=left + ms / 10 + 30, bottom=60, score=score))
        for ms in (start, end)
    ]
    return Track(name=name, points=tuple(points), protect=score >= 0.5, found=2)


@pytest.fixture
def film(tmp_path: Path) -> Seen:
    films.write_film(tmp_path / "b.mp4")
    times = tuple(40 * time for time in films.TIMES)
    tracks = (track("1", 20, 0.9), track("2", 70, 0.4), track("3", 40, 0.55, 120, 360))
    watched = Watched(size=(128, 96), times=times, tracks=tracks)
    return Seen(file="b.mp4", name="b.mp4", size=(128, 96), film=watched)


def saved(tab: Any, path: Path) -> Boxes:
    with tab.expect_download() as download:
        tab.locator("#save").click()
    download.value.save_as(path)
    return read_boxes(path)


def test_a_films_least_certain_track_counts_and_comes_first(film: Seen, tmp_path: Path) -> None:
    assert doubt(film, 0.5) == pytest.approx(0.05)
    write_review(tmp_path / "review.html", tmp_path, [film], 0.5)
    page = (tmp_path / "review.html").read_text()
    assert re.findall(r"<strong>Face (\d)</strong>", page) == ["3", "2", "1"]
    assert "Every face of 1 film<" in page
    assert "photograph" not in page.split("<body>")[1].split("<script>")[0]
    assert re.findall(r'value="(00:00[^"]+)"', page)[:2] == ["00:00.120", "00:00.360"]
    assert (tmp_path / "review.html").stat().st_mode & 0o077 == 0


def test_an_untouched_page_saves_what_was_written(browser: Any, film: Seen, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(encoded(picture(), "PNG"))
    write_review(tmp_path / "review.html", tmp_path, [seen("a.png", SURE), film], 0.5)
    tracks = [replace(one, found=None) for one in film.film.tracks]
    write_boxes(tmp_path / "written.csv", Boxes(photos={"a.png": [SURE]}, films={"b.mp4": tracks}))
    for screen in SCREENS.values():
        opened = Tab(browser, accept_downloads=True, **screen)
        opened.tab.goto((tmp_path / "review.html").as_uri())
        assert saved(opened.tab, tmp_path / "saved.csv") == read_boxes(tmp_path / "written.csv")
        assert opened.tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert opened.said == []
        opened.context.close()


def test_a_person_drops_a_track_shortens_one_and_draws_one(
    browser: Any, film: Seen, tmp_path: Path
) -> None:
    write_review(tmp_path / "review.html", tmp_path, [film], 0.5)
    opened = Tab(browser, accept_downloads=True, **SCREENS["light"])
    tab = opened.tab
    tab.goto((tmp_path / "review.html").as_uri())
    tab.locator(".track", has_text="Face 1").locator(".answer").click()
    assert tab.locator(".still .box.no").count() > 1  # of tracks 1 and 2
    start, end = (tab.locator(".track", has_text="Face 3").locator(f"[name={n}]") for n in FROM_TO)
    start.fill("0:00.2")
    end.fill("soon")
    end.blur()
    assert tab.locator("#state").inner_text() == "soon is no time: write 01:15.500 or 75.5."
    end.fill("9")  # widened beyond the end
    end.blur()
    stills = tab.locator(".still .photo")
    drag(tab, stills.nth(0), (0.7, 0.7), (0.8, 0.9))
    tab.get_by_role("button", name="Draw it in another frame").click()
    drag(tab, stills.nth(1), (0.2, 0.7), (0.3, 0.9))
    boxes = saved(tab, tmp_path / "saved.csv").films["b.mp4"]
    assert opened.said == []
    assert [one.protect for one in boxes] == [False, False, True, True]
    third = boxes[2]
    assert (third.start, third.end) == (200, 9000)
    assert third.at(200).left == pytest.approx(60, abs=0.1)
    drawn = boxes[3]
    assert (drawn.name, drawn.start, drawn.end) == ("4", 0, film.film.times[-1])
    assert drawn.at(0).left == pytest.approx(0.7 * 128, abs=1)
    assert drawn.end - 1 > drawn.start
    assert drawn.at(drawn.end).left == pytest.approx(0.2 * 128, abs=1)


FROM_TO = ("from", "to")


def drag(tab: Any, picture: Any, start: tuple[float, float], end: tuple[float, float]) -> None:
    picture.scroll_into_view_if_needed()
    place = picture.bounding_box()
    for (across, down), do in ((start, tab.mouse.down), (end, tab.mouse.up)):
        tab.mouse.move(place["x"] + place["width"] * across, place["y"] + place["height"] * down)
        do()
