from __future__ import annotations

import pytest

from sfumato.photo.clock import clock, read_time, seconds


@pytest.mark.parametrize("ms", [0, 1, 999, 59_999, 60_000, 61_040, 4_503_120, 999_999_999])
def test_both_ways_to_write_a_time_are_read_back(ms: int) -> None:
    assert read_time(seconds(ms)) == ms
    if ms < 3_600_000:
        assert len(clock(ms)) == len("mm:ss.fff")
    assert read_time(clock(ms)) == ms


def test_hours_are_read() -> None:
    assert read_time(" 1:02:03.5 ") == 3_723_500


@pytest.mark.parametrize("text", ["", "-1", "1,5", "nan", "1e3", "1:2:3:4", "٣", "1:", "9" * 8])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        read_time(text)
