"""What was erased is found wherever in a file it lies, and nothing else is."""

from __future__ import annotations

import random
from pathlib import Path

from sfumato.serve.database import remains
from sfumato.serve.database.remains import Marks, marks_of


def test_every_piece_is_found_and_a_page_is_enough(tmp_path: Path) -> None:
    draw = random.Random(0)
    erased, other = draw.randbytes(40_000), draw.randbytes(40_000)
    path = tmp_path / "file"
    size = remains.READ_BYTES
    for at in (0, 1, 4095, size - 16, size + 77):
        path.write_bytes(bytes(at) + erased + draw.randbytes(100))
        marks = Marks([marks_of(erased), marks_of(other)])
        assert marks.found_in(path) == len(marks) // 2 == 20
    path.write_bytes(draw.randbytes(9000) + erased[12_288:16_384])
    assert Marks([marks_of(erased)]).found_in(path) == 2
    path.write_bytes(draw.randbytes(1 << 20))
    assert Marks([marks_of(erased)]).found_in(path) == 0
    assert Marks([marks_of(erased)]).found_in(tmp_path / "none") == 0


def test_what_anything_may_hold_is_not_looked_for(tmp_path: Path) -> None:
    assert marks_of(bytes(10_000)) == marks_of(b"short") == marks_of(b"") == b""
    path = tmp_path / "file"
    path.write_bytes(bytes(10_000))
    assert Marks([]).found_in(path) == 0


def test_a_live_copy_is_left_out(tmp_path: Path) -> None:
    draw = random.Random(1)
    erased = draw.randbytes(30_000)
    path = tmp_path / "file"
    path.write_bytes(erased)
    marks = Marks([marks_of(erased)])
    marks.leave_out(b"other header" + erased[:20_000])
    assert 0 < marks.found_in(path) < 15
    marks.leave_out(erased)
    assert marks.found_in(path) == len(marks) == 0
