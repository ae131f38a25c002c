"""Envelopes open to what was sealed, whole and in order, and every fault is one exception."""

from __future__ import annotations

import io
import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

import tests.cipher.independent as independent
from sfumato.cipher.envelope import open_chunks, open_envelope, seal, seal_chunks, seal_stream
from sfumato.cipher.header import DTYPES, Header, Suite
from sfumato.cipher.keys import EnvelopeKey, KeyRing
from sfumato.errors import ConfigError, EnvelopeError, KeyRingError

VECTORS = json.loads((Path(__file__).parent / "vectors/envelope.json").read_text())
KEY = EnvelopeKey(bytes(range(32)))
SUITES = st.sampled_from(list(Suite))


def raw(tensor: Tensor) -> bytes:
    return tensor.contiguous().view(-1).view(torch.uint8).numpy().tobytes()


def small(tensor: Tensor, suite: Suite = Suite.AES_256_GCM, key: EnvelopeKey = KEY) -> bytes:
    """An envelope of chunks of 16 bytes."""
    return b"".join(seal_chunks(tensor, key, suite=suite, nonce=b"n" * 24, log2_chunk=4))


@given(
    SUITES,
    st.sampled_from(list(DTYPES.values())),
    st.lists(st.integers(0, 6), max_size=4),
    st.randoms(use_true_random=False),
)
@settings(deadline=None)
def test_any_tensor_comes_back_to_the_bit(
    suite: Suite, dtype: torch.dtype, shape: list[int], random: Any
) -> None:
    size = torch.empty(shape, dtype=dtype, device="meta").numel() * dtype.itemsize
    tensor = torch.tensor(list(random.randbytes(size)), dtype=torch.uint8).view(dtype).view(shape)
    envelope = small(tensor, suite)
    opened = open_envelope(envelope, [KEY])
    assert (opened.dtype, opened.shape, raw(opened)) == (dtype, tensor.shape, raw(tensor))
    _, other_shape, plain = independent.open_envelope(envelope, KEY.material)
    assert (other_shape, plain) == (tuple(shape), raw(tensor))


def test_strided_tensors_and_default_chunks() -> None:
    tensor = torch.randn(700, 3, 400).transpose(0, 2)
    assert torch.equal(open_envelope(seal(tensor, KEY), [KEY]), tensor)


@pytest.mark.parametrize("vector", VECTORS["valid"], ids=lambda v: v["name"])
def test_frozen_envelopes_are_written_and_read_as_ever(vector: dict[str, Any]) -> None:
    key = EnvelopeKey(bytes.fromhex(vector["key"]))
    content = bytes.fromhex(vector["envelope"])
    opened = open_envelope(content, [key])
    assert str(opened.dtype) == f"torch.{vector['dtype']}"
    assert list(opened.shape) == vector["shape"]
    assert raw(opened).hex() == vector["plain"]
    suite = Suite(content[5])
    parts = seal_chunks(opened, key, suite=suite, nonce=content[22:46], log2_chunk=4)
    assert b"".join(parts) == content
    assert independent.open_envelope(content, key.material)[2].hex() == vector["plain"]


@pytest.mark.parametrize("vector", VECTORS["invalid"], ids=lambda v: v["name"])
def test_frozen_faults_are_one_and_the_same_exception(vector: dict[str, str]) -> None:
    key = EnvelopeKey(bytes.fromhex(vector["key"]))
    with pytest.raises(EnvelopeError) as caught:
        open_envelope(bytes.fromhex(vector["envelope"]), [key])
    assert type(caught.value) is EnvelopeError
    assert str(caught.value) == str(EnvelopeError())


def streamed(tensor: Tensor, key: EnvelopeKey) -> bytes:
    parts: list[bytes] = []
    seal_stream(tensor, parts.append, key)
    return b"".join(parts)


@pytest.mark.parametrize("sealed", [seal, streamed])
def test_two_envelopes_of_one_tensor_share_nothing(
    sealed: Callable[[Tensor, EnvelopeKey], bytes],
) -> None:
    tensor = torch.zeros(64)
    first, second = sealed(tensor, KEY), sealed(tensor, KEY)
    assert len({first[22:46], second[22:46], bytes(24)}) == 3
    body = len(first) - 64 * 4 - 16
    assert sum(a == b for a, b in zip(first[body:], second[body:], strict=True)) < 20


def test_another_key_opens_nothing() -> None:
    content = seal(torch.ones(3), KEY)
    other = EnvelopeKey(b"o" * 32)
    for keys in ([], [other], KeyRing.create(other)):
        with pytest.raises(EnvelopeError):
            open_envelope(content, keys)
    forged = content[:6] + other.id + content[22:]
    with pytest.raises(EnvelopeError):
        open_envelope(forged, [other])


def test_a_ring_opens_what_its_keys_sealed_until_they_are_retired() -> None:
    ring = KeyRing.create(KEY)
    content = seal(torch.ones(3), ring.primary)
    rotated = ring.add(EnvelopeKey(b"o" * 32))
    rotated = rotated.promote(rotated.entries[1].id)
    assert torch.equal(open_envelope(content, rotated), torch.ones(3))
    with pytest.raises(KeyRingError, match="was retired"):
        open_envelope(content, rotated.retire(KEY.id))


@pytest.mark.parametrize("dtype", [torch.bool, torch.complex64, torch.float8_e5m2])
def test_a_type_without_an_envelope_is_refused_by_name(dtype: torch.dtype) -> None:
    with pytest.raises(ConfigError, match=str(dtype)):
        seal(torch.zeros(2, dtype=dtype), KEY)


def test_a_false_size_is_refused_before_memory_is_taken() -> None:
    header = Header(Suite.AES_256_GCM, KEY.id, b"n" * 24, torch.float32, (1 << 40,), 30)
    tracemalloc.start()
    with pytest.raises(EnvelopeError):
        open_envelope(header.pack() + bytes(1000), [KEY])
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


def test_streams_keep_one_chunk_in_memory() -> None:
    tensor = torch.arange(6 << 20, dtype=torch.uint8)
    sizes: list[int] = []
    stream = io.BytesIO()
    seal_stream(tensor, lambda part: (sizes.append(len(part)), stream.write(part)), KEY)
    assert max(sizes) == (1 << 20) + 16
    stream.seek(0)
    header, chunks = open_chunks(stream.read, sum(sizes), [KEY])
    pieces = list(chunks)
    assert header.shape == (6 << 20,)
    assert max(map(len, pieces)) == 1 << 20
    assert torch.equal(torch.cat(pieces), tensor)


def attempt(content: bytes, allowed: bytes) -> None:
    """Open hostile bytes: the one exception, or the tensor that was really sealed."""
    try:
        opened = open_envelope(content, [KEY])
    except EnvelopeError:
        return
    assert small(opened) == allowed == content


SEALED = small(torch.arange(10.0))
EDITS = st.lists(st.tuples(st.integers(0, len(SEALED) - 1), st.integers(0, 255)), max_size=4)


def edited(edits: list[tuple[int, int]], cut: slice, tail: bytes) -> bytes:
    content = bytearray(SEALED)
    for at, value in edits:
        content[at] = value
    return bytes(content[cut]) + tail


def test_every_single_bit_is_authenticated() -> None:
    for bit in range(8 * len(SEALED)):
        content = bytearray(SEALED)
        content[bit // 8] ^= 1 << bit % 8
        with pytest.raises(EnvelopeError):
            open_envelope(bytes(content), [KEY])


@given(EDITS, st.slices(len(SEALED)), st.binary(max_size=40))
@settings(deadline=None)
def test_hostile_edits_end_in_the_one_exception(
    edits: list[tuple[int, int]], cut: slice, tail: bytes
) -> None:
    attempt(edited(edits, cut, tail), SEALED)


@given(st.binary(max_size=300), st.booleans())
@settings(deadline=None)
def test_foreign_bytes_end_in_the_one_exception(content: bytes, prefixed: bool) -> None:
    attempt(SEALED[:6] * prefixed + content, SEALED)


@pytest.mark.slow
@given(EDITS, st.slices(len(SEALED)), st.binary(max_size=400))
@settings(deadline=None, max_examples=50_000, suppress_health_check=list(HealthCheck))
def test_a_longer_run_of_hostile_edits(
    edits: list[tuple[int, int]], cut: slice, tail: bytes
) -> None:
    attempt(edited(edits, cut, tail), SEALED)


def test_opened_chunks_are_the_callers_own() -> None:
    tensor = torch.arange(64, dtype=torch.float32)
    content = small(tensor, Suite.AES_256_GCM_SHUFFLEBITS)
    _, chunks = open_chunks(io.BytesIO(content).read, len(content), [KEY])
    kept = list(chunks)
    assert len(kept) == 16
    assert torch.equal(torch.cat(kept).view(torch.float32), tensor)
