"""Files of features in the clear, and sealed: from one to the other in constant memory."""

from __future__ import annotations

import json
from pathlib import Path

import safetensors
import torch
from jaxtyping import Shaped
from torch import Tensor

from sfumato.cipher.envelope import Keys, open_chunks, seal_stream
from sfumato.cipher.header import Header, Suite
from sfumato.cipher.keys import EnvelopeKey
from sfumato.errors import EnvelopeError, FormatError, InputError
from sfumato.files import pack_tensors, replacing, write_bytes

TENSOR = "features"
"""The name of the one tensor in a features file."""

_MODE = 0o600  # features in the clear are personal data
_NAMES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int8: "I8",
    torch.int16: "I16",
    torch.int32: "I32",
    torch.int64: "I64",
    torch.uint8: "U8",
    torch.uint16: "U16",
    torch.uint32: "U32",
    torch.uint64: "U64",
}


def write_features(features: Shaped[Tensor, "..."], path: Path, metadata: dict[str, str]) -> None:
    """Write a features file, a safetensors file that only its owner can read."""
    write_bytes(path, pack_tensors({TENSOR: features}, metadata), mode=_MODE)


def map_features(path: Path) -> Shaped[Tensor, "..."]:
    """Return the features of a file, memory-mapped.

    Raises:
        FormatError: the file is missing or is no features file.
    """
    try:
        with safetensors.safe_open(path, "pt") as file:
            if TENSOR not in file.keys():  # noqa: SIM118 - it is no mapping
                raise FormatError(f"{path}: expected a tensor {TENSOR!r}, got {list(file.keys())}")
            features: Tensor = file.get_tensor(TENSOR)
            return features
    except (OSError, safetensors.SafetensorError) as error:
        raise FormatError(f"{path}: expected a features file (safetensors): {error}") from error


def seal_file(
    source: Path, target: Path, key: EnvelopeKey, *, suite: Suite = Suite.AES_256_GCM
) -> Shaped[Tensor, "..."]:
    """Seal a features file into an envelope file, whole or not at all; return what it mapped.

    Raises:
        FormatError: `source` is no features file.
        InputError: `target` cannot be written.
    """
    features = map_features(source)
    with replacing(target) as part, part.open("wb") as stream:
        seal_stream(features, stream.write, key, suite=suite)
    return features


def open_file(source: Path, target: Path, keys: Keys) -> Header:
    """Open an envelope file into a features file, which appears once all of it is authentic.

    Raises:
        InputError: `source` cannot be read or `target` not written.
        EnvelopeError, KeyRingError: as `open_envelope`.
    """
    try:
        stream = source.open("rb")
    except OSError as error:
        raise InputError(f"cannot read the envelope {source}: {error.strerror}") from error
    with stream:
        try:
            size = source.stat().st_size
            header, chunks = open_chunks(stream.read, size, keys)
        except OSError as error:
            raise EnvelopeError from error
        with replacing(target, mode=_MODE) as part, part.open("wb") as output:
            output.write(_safetensors_header(header))
            for chunk in chunks:
                output.write(chunk.numpy().data)
    return header


def _safetensors_header(header: Header) -> bytes:
    entry = {
        "dtype": _NAMES[header.dtype],
        "shape": list(header.shape),
        "data_offsets": [0, header.plain_bytes],
    }
    text = json.dumps({TENSOR: entry}).encode()
    text += b" " * (-len(text) % 8)  # so that the data are aligned
    return len(text).to_bytes(8, "little") + text
