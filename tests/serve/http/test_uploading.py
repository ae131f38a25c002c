"""The route of uploads answers as the framework would, from whose document it is."""

from __future__ import annotations

import pytest

from sfumato.serve.wire import ACCOUNT_HEADER, UPLOADS_PATH
from tests.serve.conftest import Start, bearer
from tests.serve.world import World


def test_the_document_says_what_the_route_takes(start: Start) -> None:
    described = start()[0].get("/openapi.json").json()["paths"][UPLOADS_PATH]["post"]
    assert {"name": ACCOUNT_HEADER, "in": "header", "required": False} in [
        {key: one[key] for key in ("name", "in", "required")} for one in described["parameters"]
    ]
    assert described["security"]
    answer = described["responses"]["200"]["content"]["application/json"]["schema"]
    assert answer["$ref"].endswith("UploadAnswer")


@pytest.mark.parametrize("name", ["", "x" * 65, "ada\tb", "\N{LATIN SMALL LETTER E WITH ACUTE}"])
def test_a_name_that_nobody_can_have_is_refused(start: Start, world: World, name: str) -> None:
    client, service = start()
    gateway = bearer(service, "gateway", role="uploader")
    headers = gateway | {ACCOUNT_HEADER: name.encode("latin-1")}
    answer = client.post(UPLOADS_PATH, content=world.png(8, 0), headers=headers)
    assert (answer.status_code, ACCOUNT_HEADER in answer.json()["detail"]) == (422, True)
    longest = gateway | {ACCOUNT_HEADER: "~" * 64}
    answer = client.post(UPLOADS_PATH, content=world.png(8, 0), headers=longest)
    assert answer.json()["decision"] == "share"


def test_what_is_wrong_first_is_answered_first(start: Start, world: World) -> None:
    client, service = start()
    ada = bearer(service, "ada")
    wrong = {ACCOUNT_HEADER: "x" * 65}
    asked = [
        (UPLOADS_PATH + "?account=ada", wrong, 422),
        (UPLOADS_PATH, wrong, 401),
        (UPLOADS_PATH, ada | wrong, 422),
        (UPLOADS_PATH, ada, 200),
    ]
    for path, headers, status in asked:
        answer = client.post(path, content=world.png(8, 0), headers=headers)
        assert answer.status_code == status, (path, headers)
        assert answer.headers["content-type"].split("+")[-1].endswith("json")
        assert answer.headers["cache-control"] == "no-store"
