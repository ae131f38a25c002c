"""What a stranger wrote moves no cursor, colours nothing, and can be written in any encoding."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sfumato.printable import printable, without_secrets


def test_controls_and_what_is_no_text_are_escaped_and_words_stay() -> None:
    assert printable("a\nb\x1b[31mc\udcff\u202e") == r"a\nb\x1b[31mc\udcff\u202e"
    assert printable("M\u00fcller \u5c71.png") == "M\u00fcller \u5c71.png"


@given(st.text(st.characters(exclude_categories=[])))
def test_the_result_is_one_line_that_can_be_written(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    shown.encode()


def test_a_url_is_shown_without_its_secrets_and_a_file_as_it_is() -> None:
    shown = {
        "https://ada:a@b:c@host:1/x?token=t#f": "https://ada:***@host:1/x?...",
        "https://host/#token": "https://host/#...",
        "postgresql:ada:secret@host/x": "postgresql:***@host/x",
        "//ada:secret@host/x": "//ada:***@host/x",
        "https://ada@host:1/x": "https://ada@host:1/x",
        "https://[::1]:1/": "https://[::1]:1/",
        "/what?#.db": "/what?#.db",
    }
    assert {url: without_secrets(url) for url in shown} == shown
