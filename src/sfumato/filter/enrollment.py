"""What a person's device uploads: one trained autoencoder and its error statistics, signed.

It may also contain hashes of the pictures, so that near copies are blocked (`neardup`).

The file is safetensors. Its metadata carries the header, the owner's Ed25519 public key and a
signature over everything else; `docs/formats.md` has the byte layout and frozen vectors.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, get_args

import torch
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jaxtyping import Float, UInt8
from torch import Tensor

from sfumato.errors import EnrollmentError
from sfumato.files import pack_tensors, read_limited, unpack_tensors
from sfumato.filter.bounds import LARGEST, are_errors, fits

Calibration = Literal["held-out", "cross-fitted", "training"]
"""Whose reconstruction errors gave mu and sigma; `training` is the paper's way."""

VERSION: Final = 1
COPIES_VERSION: Final = 2
"""Of a file that carries hashes for near copies; without them it is of version 1."""
MOST_COPIES: Final = 5000
LIMIT_BYTES: Final = 64 << 20  # D = 65,536 with M = 64 is 32 MiB
_HEADER_BYTES: Final = 256 << 10  # hashes take 160 kB, the rest of a header under 2
_DOMAIN: Final = b"sfumato.enrollment\x00"
_COPIES: Final = "copies"
_TENSORS: Final = (
    "encoder",
    "encoder_bias",
    "decoder",
    "decoder_bias",
    "code_mean",
    "code_covariance",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrollment:
    """One class of private pictures as the platform sees it. Holds no picture and no feature.

    `mu` and `sigma` describe the squared reconstruction error, eq. (6), on `count` own images;
    `code_mean` and `code_covariance` the codes of those images, for screening newcomers.
    `backbone` is the fingerprint of the extractor that the features came from.

    Raises:
        EnrollmentError: shapes disagree, a number is outside its bounds (`bounds`), or there are
            more hashes than images.
    """

    encoder: Float[Tensor, "m d"]
    encoder_bias: Float[Tensor, " m"]
    decoder: Float[Tensor, "d m"]
    decoder_bias: Float[Tensor, " d"]
    code_mean: Float[Tensor, " m"]
    code_covariance: Float[Tensor, "m m"]
    mu: float
    sigma: float
    calibration: Calibration
    count: int
    backbone: str
    copies: UInt8[Tensor, "k 32"] | None = None
    """PDQ hashes of own images, if the person wants near copies blocked; see `neardup`."""

    def __post_init__(self) -> None:
        _check_tensors({name: getattr(self, name) for name in _TENSORS})
        if not are_errors(torch.tensor([self.mu, self.sigma], dtype=torch.float64), self.dim):
            raise EnrollmentError(
                f"expected mu and sigma in 2^-40..{self.dim} (D), as float32 holds them, got "
                f"{self.mu} and {self.sigma}; enroll again"
            )
        if self.calibration not in get_args(Calibration):
            raise EnrollmentError(f"unknown calibration {self.calibration!r}")
        if self.count < 2:
            raise EnrollmentError(f"expected statistics of at least 2 images, got {self.count}")
        if self.copies is not None:
            _check_copies(self.copies)
            if len(self.copies) > self.count:
                raise EnrollmentError(
                    f"expected hashes of at most the {self.count} enrolled images, "
                    f"got {len(self.copies)}"
                )
        if len(self.backbone) != 64 or set(self.backbone) - set("0123456789abcdef"):
            raise EnrollmentError("expected a backbone fingerprint of 64 hex digits")

    @property
    def dim(self) -> int:
        """D, the length of a feature."""
        return self.encoder.shape[1]

    @property
    def hidden(self) -> int:
        """M, the length of a code."""
        return self.encoder.shape[0]


@dataclass(frozen=True, slots=True)
class SignedEnrollment:
    """An enrollment whose signature was checked, with who signed it and its identifier."""

    enrollment: Enrollment
    owner: bytes
    """Raw Ed25519 public key, 32 bytes."""
    id: str
    """First 128 bits (hex) of the SHA-256 over the signed content."""


def seal_enrollment(enrollment: Enrollment, key: Ed25519PrivateKey) -> bytes:
    """Return the enrollment file. The same enrollment and key give the same bytes.

    Raises:
        EnrollmentError: it is larger than any reader takes.
    """
    header = {
        "sfumato.enrollment": str(VERSION if enrollment.copies is None else COPIES_VERSION),
        "backbone": enrollment.backbone,
        "mu": repr(enrollment.mu),
        "sigma": repr(enrollment.sigma),
        "calibration": enrollment.calibration,
        "count": str(enrollment.count),
        "owner": key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex(),
    }
    tensors = {name: getattr(enrollment, name).float() for name in _TENSORS}
    if enrollment.copies is not None:
        tensors[_COPIES] = enrollment.copies
    header["signature"] = key.sign(_digest(header, tensors)).hex()
    content = pack_tensors(tensors, header)
    if len(content) > LIMIT_BYTES:
        raise EnrollmentError(_too_large(len(content)))
    return content


def check_size(dim: int, hidden: int, *, copies: UInt8[Tensor, "k 32"] | None = None) -> None:
    """Find out before the training whether its enrollment can be one.

    Raises:
        EnrollmentError: its file would be larger than any reader takes, or it has too few or too
            many hashes.
    """
    if copies is not None:
        _check_copies(copies)
    size = 4 * (2 * dim * hidden + dim + 2 * hidden + hidden * hidden)
    if size > LIMIT_BYTES - _HEADER_BYTES:
        raise EnrollmentError(_too_large(size))


def _too_large(size: int) -> str:
    return (
        f"expected an enrollment file of at most {LIMIT_BYTES:,} bytes, got {size:,} for these D "
        "and M; take a smaller M (`hidden`), or a backbone of fewer features"
    )


def open_enrollment(content: bytes) -> SignedEnrollment:
    """Read an enrollment file from anywhere; everything in it is checked, the signature first.

    Raises:
        EnrollmentError: it is too large, cut short, of an unknown version, forged or malformed.
    """
    tensors, header, owner, digest = _verified(content)
    return SignedEnrollment(_parsed(header, tensors), owner, digest[:16].hex())


def read_enrollment(path: Path) -> tuple[bytes, Enrollment]:
    """Return a file that `filter enroll` wrote, as it is and as it is read.

    Raises:
        EnrollmentError: as `open_enrollment`; the message names the file.
        InputError: it cannot be read.
    """
    content = read_limited(path, limit_bytes=LIMIT_BYTES)
    try:
        return content, open_enrollment(content).enrollment
    except EnrollmentError as error:
        raise EnrollmentError(f"{path}: {error}") from error


def signed_id(content: bytes) -> str:
    """Return the identifier of a file whose signature holds, whatever its numbers are.

    Raises:
        EnrollmentError: it is too large, cut short, of an unknown version or forged.
    """
    return _verified(content)[3][:16].hex()


def _verified(content: bytes) -> tuple[dict[str, Tensor], dict[str, str], bytes, bytes]:
    """Return tensors, header, the owner's key and the digest of a file whose signature holds."""
    tensors, header = unpack_tensors(content, limit_bytes=LIMIT_BYTES, error=EnrollmentError)
    version = header.get("sfumato.enrollment")
    if version is None:
        raise EnrollmentError("expected an enrollment file, got safetensors of another kind")
    if version not in (str(VERSION), str(COPIES_VERSION)):
        raise EnrollmentError(f"expected enrollment version {VERSION} or 2, got {version[:20]!r}")
    names = _TENSORS if version == str(VERSION) else (*_TENSORS, _COPIES)
    if set(tensors) != set(names):
        raise EnrollmentError(f"expected the tensors {', '.join(names)}")
    wrong = [name for name in _TENSORS if tensors[name].dtype != torch.float32]
    if wrong:
        raise EnrollmentError(f"expected float32, got {tensors[wrong[0]].dtype} in {wrong[0]}")
    return tensors, header, *_signed(header, tensors)


def _digest(header: dict[str, str], tensors: dict[str, Tensor]) -> bytes:
    """SHA-256 over the header without its signature, and every tensor's name, shape and bytes."""
    signed = {name: value for name, value in header.items() if name != "signature"}
    digest = hashlib.sha256(_DOMAIN)
    digest.update(json.dumps(signed, sort_keys=True, separators=(",", ":")).encode())
    for name in (*_TENSORS, _COPIES) if _COPIES in tensors else _TENSORS:
        digest.update(f"\x00{name}{list(tensors[name].shape)}\x00".encode())
        digest.update(tensors[name].detach().cpu().contiguous().numpy().tobytes())
    return digest.digest()


def _signed(header: dict[str, str], tensors: dict[str, Tensor]) -> tuple[bytes, bytes]:
    try:
        owner = bytes.fromhex(header["owner"])
        signature = bytes.fromhex(header["signature"])
        if signature.hex() != header["signature"]:  # its own spelling is not among what is signed
            raise InvalidSignature
        digest = _digest(header, tensors)
        Ed25519PublicKey.from_public_bytes(owner).verify(signature, digest)
    except (KeyError, ValueError, InvalidSignature) as error:
        raise EnrollmentError(
            "the signature does not fit the content: altered, or not signed by its owner"
        ) from error
    return owner, digest


def _parsed(header: dict[str, str], tensors: dict[str, Tensor]) -> Enrollment:
    known = {"sfumato.enrollment", "backbone", "mu", "sigma", "calibration", "count"}
    if set(header) != known | {"owner", "signature"}:
        raise EnrollmentError(f"expected the header fields {', '.join(sorted(known))}")
    _check_tensors(tensors)
    if _COPIES in tensors:
        _check_copies(tensors[_COPIES])
    try:
        mu, sigma, count = float(header["mu"]), float(header["sigma"]), int(header["count"])
    except ValueError as error:
        raise EnrollmentError(f"mu, sigma or count is not a number: {error}") from error
    return Enrollment(
        **tensors,
        mu=mu,
        sigma=sigma,
        count=count,
        calibration=header["calibration"],  # type: ignore[arg-type]  # checked by Enrollment
        backbone=header["backbone"],
    )


def _check_copies(copies: Tensor) -> None:
    shape = tuple(copies.shape)
    if copies.dtype != torch.uint8 or len(shape) != 2 or shape[1] != 32:
        raise EnrollmentError(f"expected copies of shape (k, 32) and uint8, got {shape}")
    if not 1 <= shape[0] <= MOST_COPIES:
        raise EnrollmentError(
            f"expected hashes of 1 to {MOST_COPIES} pictures, got {shape[0]}; "
            "enroll other pictures, or leave `copies` out"
        )


def _check_tensors(tensors: dict[str, Tensor]) -> None:
    shape = tuple(tensors["encoder"].shape)
    if len(shape) != 2 or 0 in shape:
        raise EnrollmentError(f"expected an encoder of shape (M, D), got {shape}")
    m, d = shape
    expected = dict(zip(_TENSORS, ((m, d), (m,), (d, m), (d,), (m,), (m, m)), strict=True))
    for name, want in expected.items():
        if tuple(tensors[name].shape) != want:
            got = tuple(tensors[name].shape)
            raise EnrollmentError(f"expected {name} of shape {want}, got {got}")
        if not fits(tensors[name], LARGEST**2 if name == "code_covariance" else LARGEST):
            raise EnrollmentError(
                f"{name} has values that are not finite or beyond what training makes; enroll again"
            )
    covariance = tensors["code_covariance"].double()
    scale = float(covariance.diagonal().abs().max())
    if not torch.allclose(covariance, covariance.mT, rtol=1e-4, atol=1e-6 * scale):
        raise EnrollmentError("expected a symmetric code covariance")
    if float(torch.linalg.eigvalsh(covariance).min()) < -1e-4 * scale:
        raise EnrollmentError("expected a code covariance without negative eigenvalues")
