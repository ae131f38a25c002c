"""The bank: equal to the obvious loop, bounded in memory, and what is erased is nowhere."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from sfumato.errors import BankError, ConfigError, DataError, EnrollmentError, InputError
from sfumato.files import pack_tensors, read_tensors, write_bytes
from sfumato.filter.bank import bank as bank_module
from sfumato.filter.bank import scoring
from sfumato.filter.bank.bank import Bank
from sfumato.filter.bank.segment import Segment
from sfumato.filter.enrollment import Enrollment
from tests.waiting import PATIENCE

BACKBONE = "ab" * 32


def made(dim: int, hidden: int, seed: int) -> Enrollment:
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator)

    root = draw(hidden, hidden)
    return Enrollment(
        encoder=draw(hidden, dim) / dim**0.5,
        encoder_bias=draw(hidden),
        decoder=draw(dim, hidden),
        decoder_bias=draw(dim),
        code_mean=draw(hidden),
        code_covariance=root @ root.T,
        mu=min(float(draw(1).abs()), 1.0),
        sigma=min(float(draw(1).abs()) + 0.1, 1.0),
        calibration="held-out",
        count=20,
        backbone=BACKBONE,
    )


def filled(
    count: int, dim: int = 6, hidden: int = 3, dtype: torch.dtype = torch.float32
) -> tuple[Bank, dict[str, Enrollment]]:
    bank = Bank.empty(dim, hidden, backbone=BACKBONE, dtype=dtype)
    people = {f"p{i}": made(dim, hidden, i) for i in range(count)}
    for id_, enrollment in people.items():
        bank.add(id_, enrollment)
    return bank, people


def features(count: int, dim: int = 6, seed: int = 0) -> Tensor:
    return torch.rand(count, dim, generator=torch.Generator().manual_seed(seed))


def slow_errors(x: Tensor, people: list[Enrollment], dtype: torch.dtype) -> Tensor:
    """Eqs (2), (3) and (6) for one image and one enrollment at a time, in double precision."""
    out = torch.empty(len(x), len(people), dtype=torch.float64)
    for j, e in enumerate(people):
        encoder, decoder = (w.to(dtype).double() for w in (e.encoder, e.decoder))
        for i, row in enumerate(x.double()):
            code = (encoder @ row + e.encoder_bias).clamp(min=0)
            image = 1 / (1 + torch.exp(-(decoder @ code + e.decoder_bias)))
            out[i, j] = ((row - image) ** 2).sum()
    return out.float()


@settings(max_examples=40, deadline=None)
@given(
    count=st.integers(1, 12),
    batch=st.integers(1, 140),
    dim=st.integers(1, 40),
    hidden=st.integers(1, 9),
    dtype=st.sampled_from([torch.float32, torch.bfloat16]),
    seed=st.integers(0, 99),
)
def test_it_equals_the_slow_loop(
    count: int, batch: int, dim: int, hidden: int, dtype: torch.dtype, seed: int
) -> None:
    bank, people = filled(count, dim, hidden, dtype)
    x = features(batch, dim, seed)
    expected = slow_errors(x, list(people.values()), dtype)
    torch.testing.assert_close(bank.errors(x), expected, rtol=3e-5, atol=1e-6)


@pytest.mark.parametrize("batch", [1, 3, 65])
def test_it_equals_the_slow_loop_where_tiles_and_buffers_are_cut(
    batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sfumato.filter.bank.scoring._BUFFER", 200)
    monkeypatch.setattr("sfumato.filter.bank.scoring._TILE_WEIGHTS", 2 * 7 * 3)
    monkeypatch.setattr(bank_module, "_FIRST_BYTES", 600)
    bank, people = filled(23, 7)
    x = features(batch, 7)
    expected = slow_errors(x, list(people.values()), torch.float32)
    torch.testing.assert_close(bank.errors(x), expected, rtol=3e-5, atol=1e-6)


def test_a_wide_feature_is_cut_into_columns() -> None:
    bank, people = filled(3, 5000, 4)
    x = features(64, 5000)
    expected = slow_errors(x[:2], list(people.values()), torch.float32)
    torch.testing.assert_close(bank.errors(x)[:2], expected, rtol=3e-5, atol=1e-6)


class Largest(TorchDispatchMode):
    """Remembers the size of the largest tensor that any operation returns."""

    elements = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        if isinstance(out, Tensor):
            self.elements = max(self.elements, out.untyped_storage().nbytes() // 4)
        return out


def test_reconstructions_are_never_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)  # the mode sees its own thread only
    bank, _ = filled(300, 512, 4)
    x = features(128, 512)
    with Largest() as seen:
        bank.errors(x)
    stored = max(s.tensors["encoder"].numel() for s in bank.segments)
    assert seen.elements <= max(stored, 1 << 20)
    assert 8 * max(stored, 1 << 20) < 300 * 128 * 512


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_adding_and_removing_in_any_order_leaves_the_rest(dtype: torch.dtype) -> None:
    bank, people = filled(40, dtype=dtype)
    x = features(5)
    generator = torch.Generator().manual_seed(0)
    for step, turn in enumerate(torch.randperm(40, generator=generator).tolist()):
        bank.remove(f"p{turn}")
        del people[f"p{turn}"]
        if step % 3 == 0:
            people[f"new{step}"] = made(6, 3, 1000 + step)
            bank.add(f"new{step}", people[f"new{step}"])
        scores = bank.score(x)
        assert set(scores.ids) == set(people)
        expected = slow_errors(x, [people[i] for i in scores.ids], dtype)
        torch.testing.assert_close(scores.errors, expected, rtol=3e-5, atol=1e-6)
        assert scores.mu.tolist() == pytest.approx([people[i].mu for i in scores.ids])
        assert scores.sigma.tolist() == pytest.approx([people[i].sigma for i in scores.ids])


def test_a_segment_is_filled_before_the_next_one_begins() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bank_module, "_FIRST_BYTES", 600)
        bank, _ = filled(40)
    *full, last = bank.segments
    assert len({segment.capacity for segment in bank.segments}) > 2
    assert [segment.count for segment in full] == [segment.capacity for segment in full]
    assert sum(segment.count for segment in full) + last.count == 40


def test_some_enrollments_can_be_asked_alone() -> None:
    bank, _ = filled(9)
    x = features(4)
    everyone = bank.score(x)
    some = bank.score(x, ["p7", "p0", "p7"])
    assert some.ids == ("p7", "p0", "p7")
    columns = [everyone.ids.index(i) for i in some.ids]
    torch.testing.assert_close(some.errors, everyone.errors[:, columns])
    assert torch.equal(some.mu, everyone.mu[columns])
    assert bank.errors(x, []).shape == (4, 0)
    with pytest.raises(ConfigError, match="no enrollment 'x'"):
        bank.errors(x, ["x"])


@settings(max_examples=25)
@given(places=st.lists(st.integers(0, 22), max_size=30))
def test_asking_some_is_asking_all_of_several_segments(places: list[int]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bank_module, "_FIRST_BYTES", 600)
        bank, _ = filled(23, 7)
    x = features(3, 7)
    some = bank.score(x, [bank.ids[place] for place in places])
    torch.testing.assert_close(some.errors, bank.errors(x)[:, places], rtol=3e-5, atol=1e-6)
    assert some.rows.tolist() == places


def test_an_empty_bank_and_an_empty_batch_are_answered() -> None:
    bank = Bank.empty(6, 3, backbone=BACKBONE)
    assert bank.errors(features(4)).shape == (4, 0)
    assert filled(2)[0].errors(features(0)).shape == (0, 2)


@pytest.mark.parametrize(
    "x", [torch.full((1, 6), 1.1), torch.full((1, 6), -0.1), torch.full((1, 6), float("nan"))]
)
def test_features_outside_the_unit_interval_are_refused(x: Tensor) -> None:
    with pytest.raises(DataError, match=r"\[0, 1\]"):
        filled(1)[0].errors(x)


def test_features_of_other_dimensions_are_refused() -> None:
    with pytest.raises(DataError, match="6 dimensions, got 5"):
        filled(1)[0].errors(features(1, 5))


def test_an_autoencoder_that_overflows_wins_no_minimum() -> None:
    bank, people = filled(2)
    huge = made(6, 3, 5)
    huge.encoder.fill_(3e38)
    huge.decoder[:, 0], huge.decoder[:, 1:] = 3e38, -3e38
    bank.add("huge", huge)
    scores = bank.score(features(4))
    assert bool((scores.errors[:, 2] == float("inf")).all())
    expected = slow_errors(features(4), list(people.values()), torch.float32)
    torch.testing.assert_close(scores.errors[:, :2], expected, rtol=3e-5, atol=1e-6)


def test_what_does_not_belong_is_refused() -> None:
    bank, people = filled(2)
    with pytest.raises(ConfigError, match="already"):
        bank.add("p0", people["p0"])
    with pytest.raises(ConfigError, match="no enrollment"):
        bank.remove("p9")
    with pytest.raises(EnrollmentError, match="D = 6 and M = 3, got 6 and 4"):
        bank.add("other", made(6, 4, 0))
    foreign = Enrollment(**{**vars_of(people["p0"]), "backbone": "cd" * 32})
    with pytest.raises(EnrollmentError, match="enroll again"):
        bank.add("other", foreign)
    for sizes in ((0, 3), (6, 0)):
        with pytest.raises(ConfigError, match="at least 1"):
            Bank.empty(*sizes, backbone=BACKBONE)
    with pytest.raises(ConfigError, match="float32 or bfloat16"):
        Bank.empty(6, 3, backbone=BACKBONE, dtype=torch.float16)


def vars_of(enrollment: Enrollment) -> dict[str, object]:
    return {name: getattr(enrollment, name) for name in Enrollment.__slots__}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_saved_bank_scores_the_same(dtype: torch.dtype, tmp_path: Path) -> None:
    bank, _ = filled(25, dtype=dtype)
    bank.remove("p3")
    bank.save(tmp_path / "b.bank")
    again = Bank.open(tmp_path / "b.bank")
    assert (again.ids, again.dtype, again.backbone) == (bank.ids, dtype, BACKBONE)
    assert torch.equal(again.errors(features(7)), bank.errors(features(7)))
    assert torch.equal(again.samples("p9", 4, seed=0), bank.samples("p9", 4, seed=0))
    content = (tmp_path / "b.bank").read_bytes()
    again.add("p3", made(6, 3, 3))
    again.remove("p4")
    assert (tmp_path / "b.bank").read_bytes() == content
    again.save(tmp_path / "b.bank")
    third = Bank.open(tmp_path / "b.bank")
    assert torch.equal(third.errors(features(7)), again.errors(features(7)))


def test_an_empty_bank_is_saved_too(tmp_path: Path) -> None:
    Bank.empty(6, 3, backbone=BACKBONE).save(tmp_path / "b.bank")
    bank = Bank.open(tmp_path / "b.bank")
    bank.add("p", made(6, 3, 0))
    assert bank.errors(features(2)).shape == (2, 1)


def traces(enrollment: Enrollment, dtype: torch.dtype) -> list[bytes]:
    """Eight consecutive bytes out of everything an enrollment consists of."""
    values = [
        enrollment.encoder.to(dtype),
        enrollment.decoder.to(dtype),
        enrollment.encoder_bias,
        enrollment.decoder_bias,
        enrollment.code_mean,
        enrollment.code_covariance,
    ]
    return [bytes(v.flatten().view(torch.uint8)[:8].tolist()) for v in values]


def live_bytes(segments: list[Segment]) -> bytes:
    """Everything that the segments' memory holds, rows that are not in use included."""
    tensors = [t for s in segments for t in s.tensors.values()]
    storages = [torch.empty(0, dtype=torch.uint8).set_(t.untyped_storage()) for t in tensors]
    return b"".join(s.numpy().tobytes() for s in storages)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("victim", ["p0", "p11", "p19"])
def test_an_erased_enrollment_is_nowhere(dtype: torch.dtype, victim: str, tmp_path: Path) -> None:
    path = tmp_path / "b.bank"
    bank, people = filled(20, dtype=dtype)
    bank.save(path)
    wanted = traces(people[victim], dtype)
    assert all(t in path.read_bytes() and t in live_bytes(bank.segments) for t in wanted)
    with path.open("rb") as old:
        for other in (bank, Bank.open(path)):
            segments = list(other.segments)
            other.remove(victim)
            left = live_bytes([*segments, *other.segments])
            assert not any(t in left for t in wanted)
            other.save(path)
            assert not any(t in path.read_bytes() for t in wanted)
            assert victim not in Bank.open(path).ids
            rest = [people[i] for i in other.ids]
            expected = slow_errors(features(3), rest, dtype)
            torch.testing.assert_close(other.errors(features(3)), expected, rtol=3e-5, atol=1e-6)
        # The blocks that the first file occupied, which nobody can name any more.
        freed = old.read()
        assert not any(t in freed for t in wanted)
        assert all(t in freed for t in traces(people["p5"], dtype))
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_scoring_leaves_nothing_behind(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    bank, people = filled(20, dtype=dtype)
    seen: list[bytes] = []

    def look() -> None:
        seen.append(b"".join(t.numpy().tobytes() for t in vars(scoring.SCRATCH).values()))

    def look_and_wipe() -> None:
        look()
        scoring.wipe_scratch()

    monkeypatch.setattr(bank_module, "wipe_scratch", look_and_wipe)
    bank.errors(features(3))
    look()
    before, after = seen
    assert any(before)
    assert not any(after)
    if dtype == torch.bfloat16:
        assert people["p7"].encoder.bfloat16().float().numpy().tobytes() in before


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "b.bank"
    bank, _ = filled(5)
    bank.save(path)
    content = path.read_bytes()
    bank.remove("p1")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("safetensors.torch.save_file", full)
    with pytest.raises(InputError, match="No space left"):
        bank.save(path)
    assert path.read_bytes() == content
    assert [p.name for p in tmp_path.iterdir()] == ["b.bank"]


Parts = tuple[dict[str, Tensor], dict[str, str]]


def _config(parts: Parts, **change: object) -> Parts:
    tensors, header = parts
    return tensors, header | {"config": json.dumps(json.loads(header["config"]) | change)}


HOSTILE: dict[str, Callable[[Parts], Parts]] = {
    "future version": lambda p: (p[0], p[1] | {"sfumato.bank": "2"}),
    "no metadata": lambda p: (p[0], {}),
    "config is no JSON": lambda p: (p[0], p[1] | {"config": "{"}),
    "config is a list": lambda p: (p[0], p[1] | {"config": "[]"}),
    "one id too many": lambda p: _config(p, ids=["a", "b", "c"]),
    "the same id twice": lambda p: _config(p, ids=["a", "a"]),
    "ids are a number": lambda p: _config(p, ids=3),
    "no dimensions": lambda p: _config(p, dim=0),
    "other dimensions": lambda p: _config(p, dim=7),
    "endless dimensions": lambda p: _config(p, dim=1e400),
    "unknown dtype": lambda p: _config(p, dtype="float64"),
    "other dtype": lambda p: _config(p, dtype="bfloat16"),
    "dtype is a list": lambda p: _config(p, dtype=[]),
    "a tensor is missing": lambda p: ({k: v for k, v in p[0].items() if k != "0.mu"}, p[1]),
    "a tensor too many": lambda p: ({**p[0], "1.mu": torch.zeros(2)}, p[1]),
    "mu is a scalar": lambda p: ({**p[0], "0.mu": torch.tensor(1.0)}, p[1]),
    "mu is not finite": lambda p: ({**p[0], "0.mu": torch.tensor([1.0, float("nan")])}, p[1]),
    "sigma is zero": lambda p: ({**p[0], "0.sigma": torch.zeros(2)}, p[1]),
    "fewer biases": lambda p: ({**p[0], "0.decoder_bias": torch.zeros(1, 6)}, p[1]),
}


@pytest.mark.parametrize("fault", HOSTILE)
def test_hostile_files_are_refused(fault: str, tmp_path: Path) -> None:
    path = tmp_path / "b.bank"
    filled(2)[0].save(path)
    tensors, header = HOSTILE[fault](read_tensors(path, limit_bytes=1 << 20))
    write_bytes(path, pack_tensors({k: v.clone() for k, v in tensors.items()}, header))
    with pytest.raises(BankError, match=r"b\.bank"):
        Bank.open(path)


def test_files_that_are_no_bank_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "b.bank"
    with pytest.raises(BankError, match=r"b\.bank"):
        Bank.open(path)
    filled(2)[0].save(path)
    content = path.read_bytes()
    for cut in (b"", content[:50], content[:-1], b"\x80\x04pickle"):
        path.write_bytes(cut)
        with pytest.raises(BankError, match=r"b\.bank"):
            Bank.open(path)


def test_samples_are_decoded_from_the_owners_codes() -> None:
    bank = Bank.empty(6, 3, backbone=BACKBONE)
    person = made(6, 3, 0)
    person.code_mean.copy_(torch.tensor([4.0, 5.0, 6.0]))
    person.code_covariance.copy_(torch.tensor([[1.0, 0.9, 0], [0.9, 1, 0], [0, 0, 0]]))
    person.decoder.mul_(0.1)
    bank.add("p", person)
    samples = bank.samples("p", 4000, seed=1)
    assert samples.shape == (4000, 6)
    assert torch.equal(samples, bank.samples("p", 4000, seed=1))
    assert not torch.equal(samples, bank.samples("p", 4000, seed=2))
    codes = (samples.logit() - person.decoder_bias) @ torch.linalg.pinv(person.decoder).T
    torch.testing.assert_close(codes.mean(0), person.code_mean, rtol=0, atol=0.1)
    torch.testing.assert_close(codes.T.cov(), person.code_covariance, rtol=0, atol=0.1)
    with pytest.raises(ConfigError, match="no enrollment"):
        bank.samples("q", 1, seed=0)


CHANGES: dict[str, Callable[[Bank], None]] = {
    "add": lambda bank: bank.add("new", made(6, 3, 9)),
    "remove": lambda bank: bank.remove("p1"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_waits_for_whoever_scores(
    change: Callable[[Bank], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    bank, _ = filled(4)
    scoring_now, leave, changed = threading.Event(), threading.Event(), threading.Event()

    def hold() -> None:
        scoring_now.set()
        leave.wait(PATIENCE)

    def alter() -> None:
        change(bank)
        changed.set()

    monkeypatch.setattr(bank_module, "wipe_scratch", hold)  # the last thing that scoring does
    reader = threading.Thread(target=bank.errors, args=(features(2),))
    reader.start()
    assert scoring_now.wait(PATIENCE)
    writer = threading.Thread(target=alter)
    writer.start()
    early = changed.wait(0.2)
    leave.set()
    writer.join(PATIENCE)
    reader.join(PATIENCE)
    assert (early, changed.is_set()) == (False, True)


def test_readers_never_see_half_a_change() -> None:
    bank, people = filled(30)
    people |= {f"q{i}": made(6, 3, 100 + i) for i in range(30)}
    x = features(2)
    truth = {i: slow_errors(x, [e], torch.float32)[:, 0] for i, e in people.items()}
    stop = threading.Event()
    faults: list[str] = []

    def read() -> None:
        while not stop.is_set():
            scores = bank.score(x)
            for id_, error in zip(scores.ids, scores.errors.T, strict=True):
                if not torch.allclose(error, truth[id_], rtol=3e-5, atol=1e-6):
                    faults.append(id_)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for i in range(30):
        bank.add(f"q{i}", people[f"q{i}"])
        bank.remove(f"p{i}")
    stop.set()
    for reader in readers:
        reader.join()
    assert faults == []
    assert set(bank.ids) == {f"q{i}" for i in range(30)}


def test_what_is_left_of_an_erased_one_in_the_old_file_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "b.bank"
    bank, _ = filled(3)
    bank.save(path)
    bank.remove("p1")
    real, calls = os.fsync, []

    def failing(number: int) -> None:
        calls.append(number)
        if path.stat().st_ino != os.fstat(number).st_ino and os.fstat(number).st_nlink == 0:
            raise OSError(5, "Input/output error")
        real(number)

    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(
        InputError, match=r"is saved, but .* not be overwritten: Input/output error"
    ):
        bank.save(path)
    monkeypatch.undo()
    assert calls
    assert sorted(Bank.open(path).ids) == ["p0", "p2"]
