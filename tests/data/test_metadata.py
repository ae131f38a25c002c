"""Tables of metadata as spreadsheets and scripts leave them: read, or refused with one reason."""

from __future__ import annotations

import json
import logging
import unicodedata
from pathlib import Path

import pytest
import torch

from sfumato.data import MISSING, encode_png, load
from sfumato.data.imageset import ImageSet
from sfumato.errors import DataError

NAMES = ("a.png", "b.png", "sub/c.png")


def _picture(path: Path, grey: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_png(torch.full((1, 4, 4), grey, dtype=torch.uint8)))


@pytest.fixture
def album(tmp_path: Path) -> Path:
    for i, name in enumerate(NAMES):
        _picture(tmp_path / "album" / name, 40 * i)
    return tmp_path / "album"


def _people(images: ImageSet, label: str = "person") -> dict[str, str]:
    values = images.label(label).tolist()
    names = images.classes[label]
    return {
        file: "" if value == MISSING else names[value]
        for file, value in zip(images.files, values, strict=True)
    }


EXPECTED = {"a.png": "x", "b.png": "y", "sub/c.png": "x"}
PLAIN = "file_name,person\na.png,x\nb.png,y\nsub/c.png,x\n"

READ: dict[str, bytes] = {
    "as it should be": PLAIN.encode(),
    "with a byte order mark": b"\xef\xbb\xbf" + PLAIN.encode(),
    "in UTF-16": PLAIN.replace(",", "\t").encode("utf-16"),
    "in UTF-16, the other order": b"\xfe\xff" + PLAIN.encode("utf-16-be"),
    "with semicolons": PLAIN.replace(",", ";").replace("\n", "\r\n").encode("utf-8-sig"),
    "with tabs": PLAIN.replace(",", "\t").encode(),
    "with old line ends": PLAIN.replace("\n", "\r").encode(),
    "with quotes": b'"file_name","person"\n"a.png","x"\n"b.png","y"\n"sub/c.png","x"\n',
    "with quotes and semicolons": b'"file_name";"person"\n"a.png";"x"\nb.png;y\nsub/c.png;x\n',
    "with blanks around names": b"file_name ,  person\na.png,x\nb.png,y\nsub/c.png,x\n",
    "with blanks around values": b"file_name,person\n a.png , x\nb.png,y \nsub/c.png,\tx\n",
    "with empty columns at the end": (
        b"file_name,person,,\r\na.png,x,,\r\nb.png,y,,\r\nsub/c.png,x,,\r\n,,,\r\n"
    ),
    "with empty cells beyond the columns": b"file_name,person\na.png,x,,\nb.png,y\nsub/c.png,x,\n",
    "with an index of pandas": b",file_name,person\n0,a.png,x\n1,b.png,y\n2,sub/c.png,x\n",
    "with an index of pandas, read once": (
        b"Unnamed: 0,file_name,person\n0,a.png,x\n1,b.png,y\n2,sub/c.png,x\n"
    ),
    "with blank lines": b"\nfile_name,person\n\na.png,x\nb.png,y\n\nsub/c.png,x\n\n".lstrip(),
    "with a dot and a slash": b"file_name,person\n./a.png,x\nsub/../b.png,y\n./sub//c.png,x\n",
    "with backslashes": b"file_name,person\na.png,x\n.\\b.png,y\nsub\\c.png,x\n",
}


@pytest.mark.parametrize("kind", READ)
def test_what_is_meant_is_read(album: Path, kind: str) -> None:
    (album / "metadata.csv").write_bytes(READ[kind])
    images = load(f"folder:{album}")
    assert set(images.labels) == {"person"}
    assert _people(images) == EXPECTED
    assert images.skipped == ()


@pytest.mark.parametrize("name", ["metadata.csv", "Metadata.csv", "METADATA.CSV"])
def test_the_tables_name_may_have_capitals(album: Path, name: str) -> None:
    (album / name).write_text(PLAIN)
    assert _people(load(f"folder:{album}")) == EXPECTED


LINES = [
    {"file_name": "a.png", "person": "x", "age": 4, "glad": True},
    {"file_name": "b.png", "person": " y ", "age": 4.5, "glad": None},
    {"file_name": "sub/c.png", "person": "x"},
]


@pytest.mark.parametrize("name", ["metadata.jsonl", "Metadata.JSONL"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_a_table_may_be_lines_of_json(album: Path, name: str, mark: bytes) -> None:
    text = "\n\n".join(json.dumps(line) for line in LINES) + "\n"
    (album / name).write_bytes(mark + text.encode())
    images = load(f"folder:{album}")
    assert _people(images) == EXPECTED
    assert _people(images, "age") == {"a.png": "4", "b.png": "4.5", "sub/c.png": ""}
    assert _people(images, "glad") == {"a.png": "true", "b.png": "", "sub/c.png": ""}


@pytest.mark.parametrize("listed", ["NFC", "NFD"])
@pytest.mark.parametrize("stored", ["NFC", "NFD"])
def test_an_accent_is_the_same_however_it_is_spelled(
    tmp_path: Path, listed: str, stored: str
) -> None:
    names = ("M\u00fcller.png", "Zo\u00eb/J\u00e4ger.png", "plain.png")
    for name in names:
        _picture(tmp_path / unicodedata.normalize(stored, name))  # type: ignore[arg-type]
    rows = [unicodedata.normalize(listed, name) for name in names]  # type: ignore[arg-type]
    composed, apart = (unicodedata.normalize(form, "Zo\u00eb") for form in ("NFC", "NFD"))
    text = f"file_name,who\n{rows[0]},{composed}\n{rows[1]},{apart}\n{rows[2]},b\n"
    (tmp_path / "metadata.csv").write_text(text, encoding="utf-8")
    images = load(f"folder:{tmp_path}")
    assert images.skipped == ()
    assert images.files == tuple(sorted(unicodedata.normalize(stored, n) for n in names))  # type: ignore[arg-type]
    assert images.classes == {"who": ("Zo\u00eb", "b")}


def test_a_name_with_a_backslash_is_what_it_is_where_there_is_such_a_file(tmp_path: Path) -> None:
    _picture(tmp_path / "sub\\c.png", 1)
    _picture(tmp_path / "sub" / "c.png", 2)
    (tmp_path / "metadata.csv").write_text("file_name,x\nsub\\c.png,1\n")
    assert load(f"folder:{tmp_path}").files == ("sub\\c.png",)


def test_a_column_without_a_name_is_ignored_aloud(
    album: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (album / "metadata.csv").write_bytes(READ["with an index of pandas"])
    with caplog.at_level(logging.WARNING):
        load(f"folder:{album}")
    assert "metadata.csv: ignored what has no name: column 1" in caplog.text
    caplog.clear()
    (album / "metadata.csv").write_bytes(READ["with empty columns at the end"])
    with caplog.at_level(logging.WARNING):
        load(f"folder:{album}")
    assert caplog.text == ""


TWICE = {
    "the same": ("a.png", ""),
    "with a dot": ("./a.png", ", before as 'a.png'"),
    "by way of a folder": ("sub/../a.png", ", before as 'a.png'"),
    "with a backslash": (".\\a.png", ", before as 'a.png'"),
    "by a link": ("link.png", ", before as 'a.png'"),
}


@pytest.mark.parametrize("kind", TWICE)
def test_a_file_is_listed_once(album: Path, kind: str) -> None:
    (album / "link.png").symlink_to("a.png")
    name, before = TWICE[kind]
    (album / "metadata.csv").write_text(f"file_name,x\na.png,1\n{name},2\n")
    shown = name.replace("\\", "\\\\")
    with pytest.raises(DataError) as error:
        load(f"folder:{album}")
    assert str(error.value) == f"{album / 'metadata.csv'}:3: '{shown}' is listed twice{before}"


REFUSED: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", r"expected a column 'file_name' in the first line, got nothing"),
    "no column of files": (b"name,x\n0.png,1\n", r"'file_name' in the first line, got 'name', 'x'"),
    "another separator": (b"file_name|x\na.png|1\n", r"first line, got 'file_name\|x'"),
    "a column twice": (b"file_name,x,x\na.png,1,2\n", "no column twice, got 'x' twice"),
    "a column twice but for blanks": (b"file_name,x, x\na.png,1,2\n", "got 'x' twice"),
    "two columns of files": (b"file_name,file_name\na.png,1\n", "got 'file_name' twice"),
    "a cell too few": (b"file_name,x\na.png\n", r"metadata\.csv:2: expected 2 cells, got 1"),
    "a cell too many": (b"file_name,x\na.png,1,2\n", r":2: expected 2 cells, got 3"),
    "an open quote": (b'file_name,x\n"a.png,1\n', "cannot read .*expected CSV in UTF-8"),
    "another encoding": ("file_name,x\na.png,\u00fc\n".encode("latin-1"), "save it as 'CSV UTF-8'"),
    "no name of a file": (b"file_name,x\n,2\n", r":2: '' is not inside the folder"),
    "a zero in a name": (b"file_name,x\na\0.png,2\n", "is not inside the folder"),
    "the folder itself": (b"file_name,x\n.,2\n", "is not inside the folder"),
    "a parent, by backslashes": (b"file_name,x\n..\\b.png,2\n", "is not inside the folder"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_not_clear_is_refused_with_the_one_reason(album: Path, kind: str) -> None:
    content, message = REFUSED[kind]
    (album / "metadata.csv").write_bytes(content)
    with pytest.raises(DataError, match=message):
        load(f"folder:{album}")


REFUSED_LINES = {
    "no JSON": ("{", "expected one JSON object a line"),
    "a list": ('["a.png"]', "expected a JSON object with 'file_name'"),
    "no file": ('{"x": 1}', "expected a JSON object with 'file_name'"),
    "a list as a value": ('{"file_name": "a.png", "x": [1]}', "expected text or a number as 'x'"),
    "an object as a value": ('{"file_name": "a.png", "x": {}}', "expected text or a number as 'x'"),
    "a name twice": ('{"file_name": "a.png", "x": 1, "x": 2}', "no name twice, got 'x' twice"),
    "a parent": ('{"file_name": "../a.png"}', "is not inside the folder"),
    "a number as a file": ('{"file_name": null}', "is not inside the folder"),
    "half a character": ('{"file_name": "\\ud800.png"}', "expected whole characters"),
    "too deep": ("[" * 100_000, "expected one JSON object a line"),
}


@pytest.mark.parametrize("kind", REFUSED_LINES)
def test_lines_that_are_not_clear_are_refused(album: Path, kind: str) -> None:
    line, message = REFUSED_LINES[kind]
    (album / "metadata.jsonl").write_text(line + "\n")
    with pytest.raises(DataError, match=rf"metadata\.jsonl:1: .*{message}"):
        load(f"folder:{album}")


def test_messages_quote_a_strangers_names_in_part(album: Path) -> None:
    (album / "metadata.csv").write_text(f"file_name,x\n../{'a' * 100_000},2\n")
    with pytest.raises(DataError) as error:
        load(f"folder:{album}")
    assert len(str(error.value)) < 600
    (album / "metadata.csv").write_text(f"file_name,x\n{'a' * 100_000}.png,2\n")
    with pytest.raises(DataError) as error:
        load(f"folder:{album}")
    assert len(str(error.value)) < 600


@pytest.mark.parametrize("other", ["metadata.jsonl", "Metadata.csv", "metadata.parquet"])
def test_two_tables_in_one_folder_are_refused(album: Path, other: str) -> None:
    (album / "metadata.csv").write_text(PLAIN)
    (album / other).write_text('{"file_name": "a.png"}\n')
    if len(list(album.glob("[mM]etadata.*"))) < 2:
        pytest.skip("this file system knows no capitals")
    with pytest.raises(DataError, match=r"has .* and .*: keep the one that is right"):
        load(f"folder:{album}")


def test_a_table_that_is_not_read_is_not_passed_over(album: Path) -> None:
    (album / "metadata.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match=r"parquet is not read: write it as metadata\.csv or"):
        load(f"folder:{album}")
    (album / "metadata.parquet").unlink()
    (album.parent / "elsewhere.csv").write_text(PLAIN)
    (album / "metadata.csv").symlink_to(album.parent / "elsewhere.csv")
    with pytest.raises(DataError, match="leads out of the folder; copy the table into the folder"):
        load(f"folder:{album}")


def _splits(folder: Path) -> None:
    for split in ("train", "test"):
        for i in range(3):
            _picture(folder / split / f"{i}.png", 10 * i)


def test_each_split_may_have_its_own_table(tmp_path: Path) -> None:
    _splits(tmp_path)
    (tmp_path / "train" / "metadata.csv").write_text("file_name,person\n0.png,x\n1.png,y\n")
    (tmp_path / "test" / "Metadata.csv").write_text("file_name;mood\n2.png;sad\n")
    _picture(tmp_path / "loose.png")
    _picture(tmp_path / "more" / "5.png")
    images = load(f"folder:{tmp_path}")
    assert _people(images) == {"test/2.png": "", "train/0.png": "x", "train/1.png": "y"}
    assert _people(images, "mood") == {"test/2.png": "sad", "train/0.png": "", "train/1.png": ""}
    assert images.skipped == (
        ("loose.png", "no metadata.csv lists it"),
        ("more/5.png", "no metadata.csv lists it"),
    )


def test_an_upper_table_counts_for_all_below_it(tmp_path: Path) -> None:
    _splits(tmp_path)
    (tmp_path / "train" / "metadata.csv").write_text("file_name,person\n0.png,x\n")
    (tmp_path / "metadata.csv").write_text("file_name,person\ntrain/0.png,z\ntest/0.png,y\n")
    images = load(f"folder:{tmp_path}")
    assert _people(images) == {"test/0.png": "y", "train/0.png": "z"}


def test_a_splits_table_names_no_file_of_another_split(tmp_path: Path) -> None:
    _splits(tmp_path)
    (tmp_path / "train" / "metadata.csv").write_text("file_name,x\n../test/0.png,1\n")
    with pytest.raises(DataError, match="is not inside the folder"):
        load(f"folder:{tmp_path}")


def test_a_table_without_rows_is_an_empty_folder(album: Path) -> None:
    (album / "metadata.csv").write_text("file_name,person\n")
    with pytest.raises(DataError, match="no file lies there, or is listed"):
        load(f"folder:{album}")


def _named(folder: Path, names: list[str]) -> None:
    for i, name in enumerate(names):
        _picture(folder / name, 40 * i)
    if sorted(path.name for path in folder.iterdir()) != sorted(names):
        pytest.skip("this file system changes names")


@pytest.mark.parametrize("form", ["metadata.csv", "metadata.jsonl"])
@pytest.mark.parametrize(
    "names",
    [[" a.png", "a.png"], ["a.png ", "a.png"], ["\u00e9.png", "e\u0301.png"]],
    ids=["a blank before", "a blank after", "two spellings"],
)
def test_a_file_is_first_the_one_that_is_called_so(
    tmp_path: Path, names: list[str], form: str
) -> None:
    """Else one picture has another's label, or two are taken for one."""
    _named(tmp_path, names)

    def listing(some: dict[str, str]) -> None:
        lines = [json.dumps({"file_name": name, "person": who}) for name, who in some.items()]
        if form == "metadata.csv":
            lines = ["file_name,person", *(f'"{name}",{who}' for name, who in some.items())]
        (tmp_path / form).write_text("\n".join(lines))

    both = dict(zip(names, ("x", "y"), strict=True))
    listing(both)
    assert _people(load(f"folder:{tmp_path}")) == both
    for name in names:
        listing({name: "x"})
        assert _people(load(f"folder:{tmp_path}")) == {name: "x"}


def test_blanks_around_a_name_do_not_hide_the_only_file_that_may_be_meant(tmp_path: Path) -> None:
    _named(tmp_path, [" a.png", "b.png"])
    (tmp_path / "metadata.csv").write_text("file_name,person\na.png,x\n b.png ,y\n")
    assert _people(load(f"folder:{tmp_path}")) == {" a.png": "x", "b.png": "y"}
    _picture(tmp_path / "a.png ")
    found = load(f"folder:{tmp_path}")
    assert [str(each) for each in found.skipped] == ["a.png: there is no such file"]


@pytest.mark.parametrize("key", ["", "Unnamed: 0"])
def test_a_key_without_a_name_is_ignored_aloud(
    album: Path, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [{key: i, "file_name": name, "person": "x"} for i, name in enumerate(NAMES)]
    (album / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert set(load(f"folder:{album}").labels) == {"person"}
    assert f"ignored what has no name: key {key!r}" in caplog.text
