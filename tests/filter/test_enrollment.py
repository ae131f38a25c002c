"""The enrollment file: exact round trip, and everything hostile refused by name."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from sfumato.errors import EnrollmentError, FormatError
from sfumato.files import pack_tensors, unpack_tensors
from sfumato.filter.enrollment import (
    LIMIT_BYTES,
    Enrollment,
    open_enrollment,
    seal_enrollment,
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
        mu=0.1 + seed / 3,
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


@given(data=st.data())
@settings(deadline=None, max_examples=150)
def test_any_altered_byte_is_noticed(data: st.DataObject) -> None:
    content = bytearray(seal_enrollment(make(), KEY))
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
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


def test_a_file_over_the_limit_is_not_parsed() -> None:
    with pytest.raises(EnrollmentError, match="at most"):
        open_enrollment(bytes(LIMIT_BYTES + 1))


NAN = float("nan")
HOSTILE = {
    "nan weight": ({"encoder": torch.full((3, 6), NAN)}, "not finite"),
    "short bias": ({"decoder_bias": torch.zeros(5)}, "expected decoder_bias of shape"),
    "flat encoder": ({"encoder": torch.zeros(18)}, "shape"),
    "nan mu": ({"mu": NAN}, "finite"),
    "infinite sigma": ({"sigma": float("inf")}, "finite"),
    "no spread": ({"sigma": 0.0}, "mu >= 0 < sigma"),
    "negative mu": ({"mu": -1.0}, "mu >= 0 < sigma"),
    "one image": ({"count": 1}, "at least 2"),
    "short fingerprint": ({"backbone": "ab"}, "64 hex digits"),
    "asymmetric": ({"code_covariance": torch.triu(torch.ones(3, 3))}, "symmetric"),
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
    with pytest.raises(EnrollmentError, match="mu >= 0 < sigma"):
        replace(make(), sigma=-1.0)


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
