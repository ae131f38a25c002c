"""The enrollment file: exact round trip, and everything hostile refused by name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from sfumato.errors import EnrollmentError, FormatError, InputError
from sfumato.files import pack_tensors, unpack_tensors
from sfumato.filter.bounds import LARGEST, LEAST
from sfumato.filter.enrollment import (
    LIMIT_BYTES,
    Enrollment,
    check_size,
    open_enrollment,
    read_enrollment,
    seal_enrollment,
    signed_id,
)

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


def make(dim: int = 6, hidden: int = 3, seed: int = 0) -> Enrollment:
    generator = torch.Generator().manual_seed(seed)
    spread = torch.randn(hidden, hidden, generator=generator)
    return Enrollment(
        encoder=torch.randn(hidden, dim, generator=generator),
        encoder_bias=torch.randn(hidden, generator=generator),
        decoder=torch.randn(dim, hidden, generator=generator),
        decoder_bias=torch.randn(dim, generator=generator),
        code_mean=torch.rand(hidden, generator=generator),
        code_covariance=spread @ spread.mT,
        mu=min(0.1 + seed / 3, 1.0),
        sigma=0.3,
        calibration="held-out",
        count=12,
        backbone="ab" * 32,
    )


def unpacked() -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    return unpack_tensors(seal_enrollment(make(), KEY), limit_bytes=LIMIT_BYTES)


@given(dim=st.integers(1, 40), hidden=st.integers(1, 9), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=25)
def test_a_round_trip_is_exact_to_the_bit(dim: int, hidden: int, seed: int) -> None:
    enrollment = make(dim, hidden, seed)
    content = seal_enrollment(enrollment, KEY)
    signed = open_enrollment(content)
    assert signed.owner == KEY.public_key().public_bytes_raw()
    assert (signed.enrollment.mu, signed.enrollment.sigma) == (enrollment.mu, enrollment.sigma)
    for name in ("encoder", "encoder_bias", "decoder", "decoder_bias", "code_covariance"):
        assert torch.equal(getattr(signed.enrollment, name), getattr(enrollment, name))
    assert seal_enrollment(signed.enrollment, KEY) == content


def test_the_identifier_follows_the_content() -> None:
    one, other = (open_enrollment(seal_enrollment(make(seed=s), KEY)).id for s in (1, 2))
    assert one != other
    assert len(one) == 32


@pytest.mark.parametrize("case", [False, True], ids=["a bit", "the case of a letter"])
def test_any_altered_byte_is_noticed(case: bool) -> None:
    """Every byte: of some that were drawn few were the signature's, whose case did not count."""
    sound = seal_enrollment(make(), KEY)
    for place in range(len(sound)):
        content = bytearray(sound)
        content[place] ^= 0x20 if case else 1 << place % 8
        with pytest.raises(FormatError):
            open_enrollment(bytes(content))


@given(content=st.binary(max_size=300))
def test_arbitrary_bytes_are_refused_and_never_crash(content: bytes) -> None:
    with pytest.raises(EnrollmentError):
        open_enrollment(content)


@pytest.mark.parametrize("length", [0, 1, 7, 8, 9, 100, -1])
def test_a_truncated_file_is_refused(length: int) -> None:
    with pytest.raises(EnrollmentError, match="whole safetensors"):
        open_enrollment(seal_enrollment(make(), KEY)[:length])


def test_another_signer_cannot_take_over_an_enrollment() -> None:
    tensors, header = unpacked()
    header["owner"] = Ed25519PrivateKey.generate().public_key().public_bytes_raw().hex()
    with pytest.raises(EnrollmentError, match="signature"):
        open_enrollment(pack_tensors(tensors, header))


def test_a_future_version_and_a_foreign_file_are_named() -> None:
    tensors, header = unpacked()
    with pytest.raises(EnrollmentError, match="version 1 or 2, got '3'"):
        open_enrollment(pack_tensors(tensors, header | {"sfumato.enrollment": "3"}))
    with pytest.raises(EnrollmentError, match="another kind"):
        open_enrollment(pack_tensors(tensors, {"format": "pt"}))
    halved = {name: tensor.half() for name, tensor in tensors.items()}
    with pytest.raises(EnrollmentError, match="float32"):
        open_enrollment(pack_tensors(halved, header))
    mixed = tensors | {"encoder": tensors["encoder"].half(), "decoder": tensors["decoder"].double()}
    with pytest.raises(EnrollmentError, match=r"got torch\.float16 in encoder$"):
        open_enrollment(pack_tensors(mixed, header))


def test_a_file_over_the_limit_is_not_parsed() -> None:
    with pytest.raises(EnrollmentError, match="at most"):
        open_enrollment(bytes(LIMIT_BYTES + 1))


NAN = float("nan")
HOSTILE = {
    "nan weight": ({"encoder": torch.full((3, 6), NAN)}, "not finite"),
    "short bias": ({"decoder_bias": torch.zeros(5)}, "expected decoder_bias of shape"),
    "flat encoder": ({"encoder": torch.zeros(18)}, "shape"),
    "infinite bias": ({"decoder_bias": torch.full((6,), -float("inf"))}, "not finite"),
    "weight that overflows with others": ({"decoder": torch.full((6, 3), 3e38)}, "beyond"),
    "code that no weight makes": ({"code_mean": torch.full((3,), 2.0**21)}, "beyond"),
    "nan mu": ({"mu": NAN}, "mu and sigma"),
    "infinite sigma": ({"sigma": float("inf")}, "mu and sigma"),
    "no spread": ({"sigma": 0.0}, "mu and sigma"),
    "negative mu": ({"mu": -1.0}, "mu and sigma"),
    "no error at all": ({"mu": 0.0}, "mu and sigma"),
    "sigma that float32 takes for 0": ({"sigma": 1e-60}, "as float32 holds them"),
    "sigma below float32's normal numbers": ({"sigma": 1e-40}, "as float32 holds them"),
    "mu that float32 takes for infinite": ({"mu": 1e300}, "2\\^-40..6 \\(D\\)"),
    "sigma that float32 takes for infinite": ({"sigma": 1e300}, "mu and sigma"),
    "mu above every error": ({"mu": 6.001}, "mu and sigma"),
    "sigma above every error": ({"sigma": 6.001}, "mu and sigma"),
    "one image": ({"count": 1}, "at least 2"),
    "short fingerprint": ({"backbone": "ab"}, "64 hex digits"),
    "asymmetric": ({"code_covariance": torch.triu(torch.ones(3, 3))}, "symmetric"),
    "asymmetric and small": ({"code_covariance": 1e-4 * torch.triu(torch.ones(3, 3))}, "symmetric"),
    "a negative variance beside others": (
        {"code_covariance": torch.diag(torch.tensor([1.0, 1.0, -2e-4]))},
        "negative eigenvalues",
    ),
    "negative variance": ({"code_covariance": -torch.eye(3)}, "negative eigenvalues"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_impossible_contents_are_refused_even_when_signed(name: str) -> None:
    change, message = HOSTILE[name]
    enrollment = make()
    for field, value in change.items():  # past the dataclass's own check, as a forger would
        object.__setattr__(enrollment, field, value)
    with pytest.raises(EnrollmentError, match=message):
        open_enrollment(seal_enrollment(enrollment, KEY))


def test_the_dataclass_checks_itself() -> None:
    with pytest.raises(EnrollmentError, match="mu and sigma"):
        replace(make(), sigma=-1.0)


def test_what_lies_on_a_bound_is_taken() -> None:
    for edges in ({"mu": LEAST, "sigma": LEAST}, {"mu": 6.0, "sigma": 6.0}):
        assert open_enrollment(seal_enrollment(replace(make(), **edges), KEY)).enrollment.mu
    large = replace(make(), encoder=torch.full((3, 6), -LARGEST), code_mean=torch.zeros(3))
    assert open_enrollment(seal_enrollment(large, KEY)).enrollment.dim == 6


def test_a_file_with_impossible_numbers_still_has_its_name() -> None:
    enrollment = make()
    object.__setattr__(enrollment, "sigma", 1e-60)
    content = seal_enrollment(enrollment, KEY)
    assert len(signed_id(content)) == 32
    assert (
        signed_id(seal_enrollment(make(), KEY)) == open_enrollment(seal_enrollment(make(), KEY)).id
    )
    with pytest.raises(EnrollmentError, match="signature"):
        signed_id(content[:-1] + bytes([content[-1] ^ 1]))


def with_copies(count: int = 3) -> Enrollment:
    generator = torch.Generator().manual_seed(1)
    copies = torch.randint(256, (count, 32), generator=generator, dtype=torch.uint8)
    return replace(make(), copies=copies)


def test_hashes_travel_signed_in_a_file_of_version_2() -> None:
    content = seal_enrollment(with_copies(), KEY)
    opened = open_enrollment(content).enrollment
    assert opened.copies is not None
    assert torch.equal(opened.copies, with_copies().copies)
    assert open_enrollment(seal_enrollment(make(), KEY)).enrollment.copies is None
    tensors, header = unpack_tensors(content, limit_bytes=LIMIT_BYTES)
    assert header["sfumato.enrollment"] == "2"
    altered = {**tensors, "copies": tensors["copies"] ^ 1}
    with pytest.raises(EnrollmentError, match="signature"):
        open_enrollment(pack_tensors(altered, header))
    dropped = {name: tensor for name, tensor in tensors.items() if name != "copies"}
    for version, kept in (("1", tensors), ("2", dropped), ("1", dropped)):
        with pytest.raises(EnrollmentError):
            open_enrollment(pack_tensors(kept, header | {"sfumato.enrollment": version}))


@pytest.mark.parametrize(
    "copies",
    [
        torch.zeros(0, 32, dtype=torch.uint8),
        torch.zeros(5001, 32, dtype=torch.uint8),
    ],
)
def test_too_few_or_too_many_hashes_are_refused(copies: torch.Tensor) -> None:
    with pytest.raises(EnrollmentError, match="1 to 5000"):
        replace(make(), copies=copies)


def test_what_may_be_trained_is_what_may_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    made = replace(make(), copies=torch.zeros(2, 32, dtype=torch.uint8))
    size = len(seal_enrollment(made, KEY))
    monkeypatch.setattr("sfumato.filter.enrollment._HEADER_BYTES", 0)
    numbers = 4 * (2 * made.dim * made.hidden + made.dim + 2 * made.hidden + made.hidden**2)
    assert numbers < size < numbers + (256 << 10)
    monkeypatch.setattr("sfumato.filter.enrollment.LIMIT_BYTES", numbers)
    check_size(made.dim, made.hidden)
    monkeypatch.setattr("sfumato.filter.enrollment.LIMIT_BYTES", numbers - 1)
    with pytest.raises(EnrollmentError, match=f"got {numbers:,}"):
        check_size(made.dim, made.hidden)
    monkeypatch.setattr("sfumato.filter.enrollment.LIMIT_BYTES", size - 1)
    with pytest.raises(EnrollmentError, match=f"got {size:,}"):
        seal_enrollment(made, KEY)
    monkeypatch.setattr("sfumato.filter.enrollment.LIMIT_BYTES", size)
    assert open_enrollment(seal_enrollment(made, KEY)).enrollment.count == made.count


def test_a_file_that_cannot_be_read_or_is_none_is_named(tmp_path: Path) -> None:
    path = tmp_path / "me.enrollment"
    with pytest.raises(InputError, match=r"cannot read .*me\.enrollment: No such file"):
        read_enrollment(path)
    path.write_bytes(b"something else")
    with pytest.raises(EnrollmentError, match=r"me\.enrollment: expected a whole safetensors file"):
        read_enrollment(path)
