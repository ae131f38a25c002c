"""If-None-Match: tags weak and strong, lists of them, and `*`."""

from __future__ import annotations

import pytest

from tests.serve.conftest import Start
from tests.serve.live import python

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


def test_a_header_that_is_no_list_is_soon_read() -> None:
    """One of 40 characters kept the whole process for 0.25 s, each 3 more three times as long."""
    done = python(
        "from starlette.requests import Request\n"
        "from sfumato.serve.http.conditional import unchanged\n"
        "long = '\"a\"' + ',  ' * 20_000, ' \\t' * 30_000, '\"' * 60_000, 'W/' * 30_000\n"
        "for header in long:\n"
        "    line = b'if-none-match', (header + '!').encode()\n"
        "    print(unchanged(Request({'type': 'http', 'headers': [line]}), '\"b\"'))\n"
    )
    assert done.stdout.split() == ["False"] * 4, done.stderr


def test_two_lines_are_one_list(start: Start) -> None:
    client, _ = start()
    tag = client.get("/web/style.css").headers["etag"]
    lines = [("If-None-Match", '"other"'), ("If-None-Match", tag)]
    assert client.get("/web/style.css", headers=lines).status_code == 304
