"""Files are whole or absent; safetensors bytes from outside never crash the reader."""

from __future__ import annotations

import json
import os
import struct
import tempfile
import threading
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sfumato.errors import ArtifactError, DataError, FormatError, InputError
from sfumato.files import (
    map_tensors,
    pack_tensors,
    read_json,
    read_limited,
    read_tensors,
    refuse_no_file,
    replacing,
    replacing_folder,
    unpack_tensors,
    write_bytes,
    write_tensors,
)

NAMES = st.text(min_size=1, max_size=8)


@given(metadata=st.dictionaries(NAMES, st.text(max_size=8)), size=st.integers(0, 5))
def test_tensors_and_metadata_come_back_and_bytes_repeat(
    metadata: dict[str, str], size: int
) -> None:
    tensors = {"a": torch.arange(size), "b": torch.rand(2, size)}
    content = pack_tensors(tensors, metadata)
    assert pack_tensors(tensors, dict(reversed(metadata.items()))) == content
    back, header = unpack_tensors(content, limit_bytes=10_000)
    assert header == metadata
    assert all(torch.equal(back[name], tensors[name]) for name in tensors)


def framed(header: object) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text


HOSTILE = {
    "empty": b"",
    "huge header length": struct.pack("<Q", 2**62) + b"{}",
    "no json": framed(b"\xff" * 20),
    "list": framed([1, 2]),
    "deep": framed(b"[" * 5000),
    "offsets outside": framed({"a": {"dtype": "F32", "shape": [9], "data_offsets": [0, 36]}}),
    "negative shape": framed({"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}),
    "unknown dtype": framed({"a": {"dtype": "PY", "shape": [0], "data_offsets": [0, 0]}}),
    "metadata no json": framed({"__metadata__": {"sfumato": "{"}}),
    "metadata list": framed({"__metadata__": {"sfumato": "[]"}}),
    "metadata number": framed({"__metadata__": {"sfumato": '{"a": 1}'}}),
    "metadata deep": framed({"__metadata__": {"sfumato": "[" * 100_000}}),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused(name: str) -> None:
    with pytest.raises(ArtifactError, match="expected"):
        unpack_tensors(HOSTILE[name], limit_bytes=1 << 20, error=ArtifactError)


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("error", [FormatError, ArtifactError])
def test_hostile_files_are_refused_by_every_reader_with_the_error_asked_for(
    name: str, error: type[FormatError], tmp_path: Path
) -> None:
    path = tmp_path / "hostile"
    path.write_bytes(HOSTILE[name])
    with pytest.raises(error) as caught:
        read_tensors(path, limit_bytes=1 << 20, error=error)
    assert type(caught.value) is error
    with pytest.raises(error) as caught:
        map_tensors(path, error=error)
    assert type(caught.value) is error


@pytest.mark.parametrize("error", [FormatError, ArtifactError])
def test_a_file_that_is_not_there_is_named(tmp_path: Path, error: type[FormatError]) -> None:
    for there in (tmp_path / "absent", tmp_path):
        with pytest.raises(error, match=str(there)) as caught:
            map_tensors(there, error=error)
        assert type(caught.value) is error


def test_a_mapped_file_is_what_was_written_and_stays_so(tmp_path: Path) -> None:
    path, tensors = tmp_path / "a", {"a": torch.arange(6.0), "b": torch.ones(2, 3)}
    write_tensors(path, tensors, {"k": "v"})
    content = path.read_bytes()
    mapped, metadata = map_tensors(path)
    assert metadata == {"k": "v"}
    assert all(torch.equal(mapped[name], tensors[name]) for name in tensors)
    mapped["a"].fill_(9)
    assert path.read_bytes() == content


def test_the_size_limit_holds_before_anything_is_parsed(tmp_path: Path) -> None:
    path = tmp_path / "big"
    path.write_bytes(bytes(11))
    with pytest.raises(FormatError, match="at most 10 bytes, got 11"):
        read_tensors(path, limit_bytes=10)
    with pytest.raises(FormatError, match="cannot read"):
        read_tensors(tmp_path / "absent", limit_bytes=10)


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "kept"
    write_bytes(path, b"old", mode=0o600)

    def broken() -> None:
        with replacing(path) as part:
            part.write_bytes(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        broken()
    assert path.read_bytes() == b"old"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [p.name for p in tmp_path.iterdir()] == ["kept"]


def test_a_folder_that_cannot_be_written_is_an_input_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(InputError, match="choose another place"):
        write_bytes(tmp_path / "file" / "below", b"x")


@given(st.dictionaries(NAMES, st.integers() | st.text(max_size=5) | st.none(), max_size=4))
def test_a_json_object_comes_back(document: dict[str, object]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.json"
        write_bytes(path, json.dumps(document).encode())
        assert read_json(path, limit_bytes=1_000) == document


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is no JSON"),
        (b"\xff\xfe", "is no JSON"),
        (b"[" * 5000, "is no JSON"),
        (b"[1]", "expected a JSON object, got list"),
        (b'{"a": 1, "a": 2}', "it has the key 'a' twice"),
        (b'{"a": "' + b"x" * 10_000 + b'"}', "expected at most 9,000 bytes, got 10,009"),
        (None, "cannot read"),
    ],
)
def test_what_is_no_json_object_is_refused(
    tmp_path: Path, content: bytes | None, message: str
) -> None:
    path = tmp_path / "a.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ArtifactError, match=message):
        read_json(path, limit_bytes=9_000, error=ArtifactError)


def test_a_high_limit_asks_for_no_more_memory_than_the_file(tmp_path: Path) -> None:
    path = tmp_path / "state"
    for content in (b"", b"x" * 100):
        path.write_bytes(content)
        assert read_limited(path, limit_bytes=1 << 50) == content
    assert read_limited(path, limit_bytes=100) == b"x" * 100
    with pytest.raises(InputError, match="expected at most 99 bytes, got 100"):
        read_limited(path, limit_bytes=99)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no such file on this system")
def test_a_file_whose_size_says_nothing_is_read_whole() -> None:
    path = Path("/proc/self/status")
    assert path.stat().st_size == 0
    assert read_limited(path, limit_bytes=1 << 40).startswith(b"Name:")


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="no such device on this system")
def test_a_device_without_an_end_is_not_read_into_memory() -> None:
    with pytest.raises(InputError, match=r"/dev/zero: expected at most 1,000 bytes, got 1,001"):
        read_limited(Path("/dev/zero"), limit_bytes=1_000)
    with pytest.raises(DataError, match=r"cannot read /dev: Is a directory"):
        read_limited(Path("/dev"), limit_bytes=1_000, error=DataError)


def test_a_limit_larger_than_the_memory_is_no_trouble(tmp_path: Path) -> None:
    whole = bytes(range(256)) * 12_000  # more than is read at once of a pipe
    (tmp_path / "file").write_bytes(whole)
    assert read_limited(tmp_path / "file", limit_bytes=1 << 60) == whole
    assert read_limited(tmp_path / "file", limit_bytes=len(whole)) == whole
    with pytest.raises(InputError, match=r"at most 3,071,999 bytes, got 3,072,000"):
        read_limited(tmp_path / "file", limit_bytes=len(whole) - 1)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes on this system")
def test_all_of_a_pipe_is_read(tmp_path: Path) -> None:
    pipe, whole = tmp_path / "pipe", bytes(3_000_000)
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(whole,))
    writer.start()
    assert read_limited(pipe, limit_bytes=1 << 60) == whole
    writer.join()


@pytest.mark.parametrize("place", ["tensors", "metadata"])
def test_a_key_twice_is_refused(place: str) -> None:
    """Of two values one reader takes the first and another the second."""
    content = pack_tensors({"a": torch.zeros(2)}, {"b": "c"})
    length = int.from_bytes(content[:8], "little")
    header = content[8 : 8 + length].rstrip()
    one = b'"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}'
    old, new = (one, one + b"," + one)
    if place == "metadata":
        old, new = (rb"{\"b\": \"c\"}", rb"{\"b\": \"c\", \"b\": \"d\"}")
    assert header.count(old) == 1
    header = header.replace(old, new)
    twice = struct.pack("<Q", len(header)) + header + content[8 + length :]
    with pytest.raises(FormatError, match="twice"):
        unpack_tensors(twice, limit_bytes=10_000)


def test_what_is_no_plain_file_is_left_as_it_is(tmp_path: Path) -> None:
    """As root, /dev/null itself was replaced by the file."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    (tmp_path / "link").symlink_to(pipe)
    for path in (pipe, tmp_path / "link"):
        with pytest.raises(InputError, match="it is a device or a pipe; name a file"):
            write_bytes(path, b"new")
    with pytest.raises(InputError, match="it is a folder; name a file"):
        write_bytes(tmp_path, b"new")
    assert pipe.is_fifo()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "pipe"]


def test_a_link_stays_and_its_file_is_replaced(tmp_path: Path) -> None:
    file = tmp_path / "store" / "file"
    (tmp_path / "link").symlink_to(file)  # before there is any
    refuse_no_file(tmp_path / "link")
    for content in (b"old", b"new"):
        write_bytes(tmp_path / "link", content)
        assert file.read_bytes() == content
        assert not file.is_symlink()
    assert (tmp_path / "link").readlink() == file


@pytest.mark.parametrize("letter", ["a", "\u3042", "\U0001f600"])
def test_the_longest_name_that_there_is_can_be_written(tmp_path: Path, letter: str) -> None:
    path = tmp_path / (letter * (255 // len(letter.encode())))
    write_bytes(path, b"x")
    write_bytes(path, b"y")
    assert path.read_bytes() == b"y"
    folder = tmp_path / "in" / path.name
    for content in ("x", "y"):
        with replacing_folder(folder, ours=("file",)) as part:
            (part / "file").write_text(content)
    assert (folder / "file").read_text() == "y"


def test_a_link_to_a_folder_stays_and_the_folder_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "file").write_text("old")
    (tmp_path / "link").symlink_to("real")
    with replacing_folder(tmp_path / "link", ours=("file",)) as part:
        (part / "file").write_text("new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real" / "file").read_text() == "new"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["link", "real"]
