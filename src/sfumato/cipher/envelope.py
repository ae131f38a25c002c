"""Envelopes: sealed tensors, in memory or as streams of chunks in constant memory.

Each envelope has its own cipher key, derived from the ring's key and a random nonce of 192 bits,
with the header as context. Its chunks are encrypted in the STREAM construction (Hoang and others,
CRYPTO 2015): the nonce of a chunk is a prefix, its number and whether it is the last, so that none
can be dropped, moved, repeated or appended. The header is authenticated with every chunk. Layout
and test vectors: docs/formats.md.
"""

from __future__ import annotations

import io
import secrets
from collections.abc import Callable, Iterator, Sequence

import torch
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from jaxtyping import Int, Shaped, UInt8
from torch import Tensor

from sfumato.cipher.header import DTYPES, NONCE_BYTES, TAG_BYTES, Header, Suite, read_header
from sfumato.cipher.keys import EnvelopeKey, KeyRing, find_key
from sfumato.cipher.permutation import derive_key
from sfumato.cipher.shufflebits import ShuffleBits
from sfumato.cipher.stages import WORDS, compile_kernel
from sfumato.errors import ConfigError, EnvelopeError, InputError

_LOG2_CHUNK = 20  # 1 MiB: tags cost 16 millionths, and a chunk stays in the cache
_BULK_BYTES = 16 << 30  # from here on compiling the shuffling saves more time than it takes
_PREFIX_BYTES = 7  # of a nonce of 12, before the counter (4) and the last-chunk flag (1)

Keys = KeyRing | Sequence[EnvelopeKey]
"""What opens: a ring, or a few loose keys."""


def seal(
    tensor: Shaped[Tensor, "..."], key: EnvelopeKey, *, suite: Suite = Suite.AES_256_GCM
) -> bytes:
    """Return the envelope of a tensor of any shape, on any device.

    Raises:
        ConfigError: the element type has no envelope (bool, complex or a quantised one).
    """
    return b"".join(seal_chunks(tensor, key, suite=suite, nonce=secrets.token_bytes(NONCE_BYTES)))


def open_envelope(content: bytes, keys: Keys) -> Shaped[Tensor, "..."]:
    """Return the tensor that was sealed, on the CPU.

    Raises:
        EnvelopeError: for every fault of the envelope, and for a key that was never here.
        KeyRingError: the key was retired.
    """
    header, chunks = open_chunks(io.BytesIO(content).read, len(content), keys)
    flat = torch.empty(header.plain_bytes, dtype=torch.uint8)
    start = 0
    for chunk in chunks:
        flat[start : start + len(chunk)] = chunk
        start += len(chunk)
    return flat.view(header.dtype).view(header.shape)


def seal_chunks(
    tensor: Shaped[Tensor, "..."],
    key: EnvelopeKey,
    *,
    suite: Suite,
    nonce: bytes,
    log2_chunk: int = _LOG2_CHUNK,
) -> Iterator[bytes]:
    """Yield the parts of an envelope in order; the tensor may be larger than memory.

    `nonce` (24 bytes) must never serve twice under one key: `seal` and `seal_stream` draw it.
    """
    if tensor.dtype not in DTYPES.values():
        known = ", ".join(str(dtype).removeprefix("torch.") for dtype in DTYPES.values())
        raise ConfigError(f"cannot seal a tensor of {tensor.dtype}; convert it to one of: {known}")
    header = Header(suite, key.id, nonce, tensor.dtype, tuple(tensor.shape), log2_chunk)
    yield from _sealed(header, key, _chunks_of(tensor, header))


def seal_stream(
    tensor: Shaped[Tensor, "..."],
    write: Callable[[bytes], object],
    key: EnvelopeKey,
    *,
    suite: Suite = Suite.AES_256_GCM,
) -> None:
    """Seal a tensor, perhaps a memory-mapped one, to a stream in constant memory."""
    nonce = secrets.token_bytes(NONCE_BYTES)
    for part in seal_chunks(tensor, key, suite=suite, nonce=nonce):
        write(part)


def seal_bytes(
    read: Callable[[int], bytes],
    size: int,
    write: Callable[[bytes], object],
    key: EnvelopeKey,
    *,
    suite: Suite = Suite.AES_256_GCM,
) -> None:
    """Seal `size` bytes of a reader as a uint8 tensor of one dimension, in constant memory.

    Raises:
        InputError: the reader ends before.
    """
    nonce = secrets.token_bytes(NONCE_BYTES)
    header = Header(suite, key.id, nonce, torch.uint8, (size,), _LOG2_CHUNK)
    for part in _sealed(header, key, _chunks_read(read, header)):
        write(part)


def open_chunks(
    read: Callable[[int], bytes], size: int, keys: Keys
) -> tuple[Header, Iterator[UInt8[Tensor, "bytes"]]]:
    """Return the header of an envelope of `size` bytes, and its authenticated plaintext in order.

    What comes before a fault is authentic but not whole: give none of it away before the last
    chunk has come. Memory is not taken before `size` agrees with the header.

    Raises:
        EnvelopeError, KeyRingError: as `open_envelope`, here or from the iterator.
    """
    header = read_header(read)
    if size != len(header.pack()) + header.body_bytes:
        raise EnvelopeError
    key = find_key(keys, header.key_id)
    if key is None:
        raise EnvelopeError
    return header, _opened(read, _Box(header, key, opening=True))


def _sealed(header: Header, key: EnvelopeKey, chunks: Iterator[Tensor]) -> Iterator[bytes]:
    box = _Box(header, key, opening=False)
    yield box.associated
    for number, chunk in enumerate(chunks):
        yield box.seal(number, chunk)


def _opened(read: Callable[[int], bytes], box: _Box) -> Iterator[UInt8[Tensor, "bytes"]]:
    left = box.header.plain_bytes
    for number in range(box.header.chunks):
        size = min(left, 1 << box.header.log2_chunk)
        yield box.open(number, read(size + TAG_BYTES))
        left -= size


def _chunks_of(tensor: Tensor, header: Header) -> Iterator[Tensor]:
    """Yield the elements in rows of one chunk each; an empty tensor is one empty chunk."""
    flat = tensor.detach().reshape(-1)
    size = (1 << header.log2_chunk) // header.dtype.itemsize
    for start in range(0, max(len(flat), 1), size):
        yield flat[start : start + size].cpu()


def _chunks_read(read: Callable[[int], bytes], header: Header) -> Iterator[Tensor]:
    left = header.plain_bytes
    for _ in range(header.chunks):
        size = min(left, 1 << header.log2_chunk)
        content = bytearray(read(size))
        if len(content) != size:
            raise InputError("a file became shorter while it was sealed; do it again")
        yield torch.frombuffer(content, dtype=torch.uint8) if size else torch.empty(0).byte()
        left -= size


class _Box:
    """The derived keys of one envelope, sealing or opening chunk by number."""

    def __init__(self, header: Header, key: EnvelopeKey, *, opening: bool) -> None:
        self.header = header
        self.associated = header.pack()
        info = b"sfumato envelope v1" + self.associated
        secret = HKDF(hashes.SHA256(), 64 + _PREFIX_BYTES, header.nonce, info).derive(key.material)
        aes = header.suite in (Suite.AES_256_GCM, Suite.AES_256_GCM_SHUFFLEBITS)
        self._cipher = AESGCM(secret[:32]) if aes else ChaCha20Poly1305(secret[:32])
        self._prefix = secret[64:]
        self._shuffle = _Shuffle(header, secret[32:64], opening) if header.suite.shuffled else None

    def seal(self, number: int, chunk: Shaped[Tensor, "n"]) -> bytes:
        """Return a chunk's ciphertext and tag."""
        words = chunk if self._shuffle is None else self._shuffle(chunk)
        plain = words.view(torch.uint8).numpy().data
        return self._cipher.encrypt(self._nonce(number), plain, self.associated)

    def open(self, number: int, sealed: bytes) -> UInt8[Tensor, "bytes"]:
        """Return a chunk's plain bytes, or raise an EnvelopeError."""
        try:
            content = self._cipher.decrypt(self._nonce(number), sealed, self.associated)
        except (InvalidTag, ValueError) as error:
            raise EnvelopeError from error
        if not content:
            return torch.empty(0, dtype=torch.uint8)
        plain = torch.frombuffer(bytearray(content), dtype=torch.uint8)
        if self._shuffle is None:
            return plain
        return self._shuffle(plain.view(self.header.dtype)).view(torch.uint8)

    def _nonce(self, number: int) -> bytes:
        last = number == self.header.chunks - 1
        return self._prefix + number.to_bytes(4, "big") + bytes([last])


class _Shuffle:
    """ShuffleBits of one envelope's chunks: its network is routed once, not for each chunk."""

    def __init__(self, header: Header, secret: bytes, opening: bool) -> None:
        width = 8 * header.dtype.itemsize
        key = derive_key(secret, width)
        self._module = ShuffleBits(key.inverse() if opening else key)
        # What is sealed is gone when the next chunk comes; what is opened is the caller's.
        size = 0 if opening else min(header.plain_bytes, 1 << header.log2_chunk)
        self._sealed = torch.empty(size // header.dtype.itemsize, dtype=WORDS[width])
        if header.plain_bytes >= _BULK_BYTES:
            compile_kernel(width)

    def __call__(self, chunk: Shaped[Tensor, "n"]) -> Int[Tensor, "n"]:
        """Return a chunk's words with their bits moved."""
        out = self._sealed[: len(chunk)] if len(self._sealed) else None
        words: Int[Tensor, "n"] = self._module(chunk, out=out)
        return words
