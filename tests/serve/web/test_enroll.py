"""Enrolling in the page: the pictures stay in the browser, and the enrollment is as good."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
import torch
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jaxtyping import Bool, Float
from torch import Tensor

from sfumato.features.views import ViewDraws, stacked_views
from sfumato.filter.enroll import enroll
from sfumato.filter.enrollment import Enrollment, open_enrollment
from sfumato.filter.oneclass import OneClassConfig, squared_error
from sfumato.filter.private_pictures import owner_key
from sfumato.serve.database.db import open_database
from tests.serve.live import LiveServer
from tests.serve.web.conftest import SCREENS, Visit, Visitor, axe, token
from tests.serve.world import HIDDEN, World
from tests.waiting import PATIENCE

DIGIT, TRAINED, SEED = 3, 120, 5
# What the page asks the browser for where a device draws its seed: twice that, as 32 bits.
_SEEDED = """
const draw = crypto.getRandomValues.bind(crypto);
crypto.getRandomValues = (into) =>
  into instanceof Uint32Array && into.length === 1 ? into.fill(%d) : draw(into);
"""


def trained(page: Visit, world: World, name: str, count: int = TRAINED) -> Any:
    """Enroll digits in the page up to the moment before anything is sent."""
    page.tab.add_init_script(_SEEDED % (2 * SEED))
    tab = page.open("/enroll", name)
    files = [
        {"name": f"{i}.png", "mimeType": "image/png", "buffer": world.png(DIGIT, i)}
        for i in range(count)
    ]
    files.append({"name": "broken.png", "mimeType": "image/png", "buffer": b"\x89PNG broken"})
    tab.set_input_files("#pictures", files)
    tab.click("#train")
    tab.wait_for_selector("#trained:not([hidden])")
    return tab


def views(world: World) -> Float[Tensor, "n v d"] | None:
    """The views that a device with the seed trains on; the page was given one broken file more."""
    draws = ViewDraws(world.backbone, OneClassConfig().augmentation, TRAINED + 1, seed=SEED)
    return stacked_views([draws.of(image) for image in world.images[DIGIT][:TRAINED]])


def claims(made: Enrollment, x: Float[Tensor, "n d"]) -> Bool[Tensor, " n"]:
    code = (x @ made.encoder.T + made.encoder_bias).relu()
    again = (code @ made.decoder.T + made.decoder_bias).sigmoid()
    return squared_error(x[None], again[None])[0] <= made.mu + 2 * made.sigma


@pytest.mark.slow
def test_pictures_stay_and_the_enrollment_is_as_pythons(
    visit: Visitor, server: LiveServer, world: World, tmp_path: Path
) -> None:
    page, mine = visit(), token(server, "dora")
    tab = trained(page, world, mine)
    assert "120 pictures" in tab.inner_text("#trained")
    assert "broken.png" in tab.inner_text("#trained")
    assert page.sent() == []
    with tab.expect_download() as saved:
        tab.click("text=Save the enrollment")
    with tab.expect_download() as key:
        tab.click("text=Save its key")
    tab.click("#send-trained")
    tab.wait_for_selector("#trained >> text=Sent: it counts.")
    _only_the_enrollment_left(page, world)

    content = Path(saved.value.path()).read_bytes()
    signed = open_enrollment(content)
    key.value.save_as(tmp_path / "me.pem")
    public = owner_key(tmp_path / "me.pem")[0].public_key()
    assert public.public_bytes(Encoding.Raw, PublicFormat.Raw) == signed.owner
    with _client(server, mine) as client:
        found = client.get("/v1/enrollments").json()
    assert [(f["id"], f["status"]) for f in found] == [(signed.id, "active")]
    _as_pythons(signed.enrollment, world)
    _claims_on_the_server(server, world, mine, signed.enrollment)


def _client(server: LiveServer, mine: str) -> httpx.Client:
    headers = {"Authorization": f"Bearer {mine}"}
    return httpx.Client(base_url=server.url, headers=headers, timeout=PATIENCE)


def _only_the_enrollment_left(page: Visit, world: World) -> None:
    sent = [(r.method, r.url.removeprefix(page.url), r.post_data_buffer) for r in page.asked]
    bodies = [body for _, _, body in sent if body]
    assert [(m, path) for m, path, body in sent if body] == [("POST", "/v1/enrollments")]
    assert open_enrollment(bodies[0]).enrollment.count == TRAINED
    for index in range(TRAINED):
        picture = world.png(DIGIT, index)
        assert all(picture[16:80] not in body for body in bodies)
        assert all(world.images[DIGIT][index].numpy().tobytes() not in body for body in bodies)
    assert all("?" not in path for _, path, _ in sent)


def _as_pythons(made: Enrollment, world: World) -> None:
    """A device in Python draws the same from the same seed: only sums are rounded otherwise."""
    python = enroll(
        world.backbone(world.images[DIGIT][:TRAINED]),
        OneClassConfig(hidden=HIDDEN),
        backbone=world.backbone.fingerprint,
        seed=SEED,
        views=views(world),
    )
    assert made.calibration == python.calibration
    assert (made.mu, made.sigma) == pytest.approx((python.mu, python.sigma), rel=1e-3)
    for name in ("encoder", "encoder_bias", "decoder", "decoder_bias"):
        torch.testing.assert_close(getattr(made, name), getattr(python, name), atol=1e-3, rtol=0)


def _claims_on_the_server(server: LiveServer, world: World, mine: str, made: Enrollment) -> None:
    """Nobody else is enrolled, so every picture is decided by this enrollment's claim alone."""
    for digit in (DIGIT, 4):
        with _client(server, token(server, f"eve-of-dora-{digit}")) as eve:
            decisions = [
                eve.post("/v1/uploads", content=world.png(digit, index)).json()["decision"]
                for index in range(130, 150)
            ]
        claimed = claims(made, world.backbone(world.images[digit][130:150]))
        assert [d == "block" for d in decisions] == claimed.tolist()
    with _client(server, mine) as client:
        (own,) = client.get("/v1/enrollments").json()
        client.delete(f"/v1/enrollments/{own['id']}")


def test_a_training_can_be_stopped_and_nothing_was_sent(
    visit: Visitor, server: LiveServer, world: World
) -> None:
    page = visit()
    tab = page.open("/enroll", token(server, "stopper"))
    files = [
        {"name": f"{i}.png", "mimeType": "image/png", "buffer": world.png(0, i % 100)}
        for i in range(1500)
    ]
    tab.set_input_files("#pictures", files)
    tab.click("#train")
    tab.click("#stop")
    tab.wait_for_selector("#stage >> text=stopped; nothing was sent")
    assert tab.is_enabled("#train")
    assert tab.is_hidden("#trained")
    assert page.sent() == []


def test_the_worker_cannot_send_even_if_it_wanted_to(visit: Visitor) -> None:
    """The browser enforces the policy of the worker's script on whatever runs in it."""
    page = visit()
    page.expect_line("Content Security Policy")
    tab = page.open("/enroll")
    with tab.expect_worker() as found:
        tab.evaluate("void (window.kept = new Worker('/web/worker.js', { type: 'module' }))")
    asked = "fetch('/livez').then(() => 'sent', (error) => error.name)"
    assert found.value.evaluate(asked) == "TypeError"
    # Whether it failed is told after it did: an answer is waited for.
    assert all("livez" not in one.url or one.response() is None for one in page.asked)


def test_an_enrollment_file_is_sent_listed_and_erased(
    visit: Visitor, server: LiveServer, world: World
) -> None:
    tab = visit().open("/enroll", token(server, "filer"))
    tab.wait_for_selector("#none >> text=None yet.")
    tab.set_input_files(
        "#file",
        {
            "name": "me.enrollment",
            "mimeType": "application/octet-stream",
            "buffer": world.enrollments[6],
        },
    )
    tab.click("#sending button")
    tab.wait_for_selector("#sent >> text=Sent: it counts")
    tab.wait_for_selector("#own li")
    assert open_enrollment(world.enrollments[6]).id in tab.inner_text("#own")
    tab.evaluate(axe())
    assert tab.evaluate("axe.run()")["violations"] == []
    tab.click("#own >> text=Erase")
    tab.wait_for_selector("#own li", state="detached")


def test_an_erasure_whose_bytes_are_still_there_is_shown_until_they_are_gone(
    visit: Visitor, server: LiveServer, world: World
) -> None:
    mine = token(server, "eraser")
    with _client(server, mine) as client:
        made = client.post("/v1/enrollments", content=world.small(5)).json()
    tab = visit().open("/enroll", mine)
    tab.wait_for_selector("#own li")
    assert tab.inner_text("#erasing") == ""
    engine = open_database(server.db_url)
    with engine.connect() as reader:
        reader.exec_driver_sql("SELECT count(*) FROM enrollments").fetchone()
        tab.click("#own >> text=Erase")
        tab.wait_for_selector("#own li", state="detached")
        tab.wait_for_selector("#erasing >> text=still ridding its files of it")
        assert made["id"] in tab.inner_text("#erasing")
        reader.rollback()
    engine.dispose()
    tab.wait_for_selector("#erasing li", state="detached")


def test_a_browser_that_cannot_sign_is_told_so(visit: Visitor) -> None:
    page = visit(**SCREENS["phone"])
    page.context.add_init_script("crypto.subtle.generateKey = () => Promise.reject(new Error())")
    tab = page.open("/enroll")
    tab.wait_for_selector("#stage >> text=this browser cannot sign here")
    assert tab.is_disabled("#pictures")


def test_an_altered_canvas_is_refused(visit: Visitor, server: LiveServer) -> None:
    tab = visit().open("/enroll")
    found = tab.evaluate(
        """async () => {
          const { canvasIsExact } = await import("/web/picture.js");
          const honest = canvasIsExact();
          const own = OffscreenCanvasRenderingContext2D.prototype;
          const read = own.getImageData;
          own.getImageData = function (...place) {
            const found = read.apply(this, place);
            found.data[8] ^= 1;
            return found;
          };
          return [honest, canvasIsExact()];
        }"""
    )
    assert found == [True, False]


def test_small_files_are_counted_in_kilobytes(visit: Visitor) -> None:
    """Twenty pictures of a few kilobytes were said to have 0.0 MB."""
    found = (
        visit()
        .open("/enroll")
        .evaluate(
            """async () => {
          const { bytes } = await import("/web/dom.js");
          return [0, 1, 40_000, 99_999, 100_000, 12_340_000].map(bytes);
        }"""
        )
    )
    assert found == ["0 kB", "1 kB", "40 kB", "100 kB", "0.1 MB", "12.3 MB"]
