"""If-None-Match: tags weak and strong, lists of them, and `*`."""

from __future__ import annotations

import pytest

from tests.serve.conftest import Start

SAME = [
    "{tag}",
    "W/{tag}",
    "*",
    " * ",
    '"other", {tag}',
    '{tag},"other"',
    '"a",, W/{tag} ,"b"',
    '"x,y", {tag}',
]
OTHER = [
    "",
    '"other"',
    "w/{tag}",
    "{bare}",
    '"other", *',
    "{tag} {tag}",
    '"other, {bare}"',
    "W/ {tag}",
    '"open',
]


@pytest.mark.parametrize("path", ["/v1/backbone", "/web/style.css"])
def test_it_is_as_the_standard_says(start: Start, path: str) -> None:
    client, _ = start()
    first = client.get(path)
    tag = first.headers["etag"]
    assert tag.startswith('"')
    for wanted, status in [(s, 304) for s in SAME] + [(s, 200) for s in OTHER]:
        header = wanted.format(tag=tag, bare=tag.strip('"'))
        answer = client.get(path, headers={"If-None-Match": header})
        assert answer.status_code == status, header
        for name in ("etag", "cache-control"):
            assert answer.headers[name] == first.headers[name]
        assert bool(answer.content) == (status == 200)


def test_two_lines_are_one_list(start: Start) -> None:
    client, _ = start()
    tag = client.get("/web/style.css").headers["etag"]
    lines = [("If-None-Match", '"other"'), ("If-None-Match", tag)]
    assert client.get("/web/style.css", headers=lines).status_code == 304
