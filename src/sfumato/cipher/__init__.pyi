"""What `sfumato.cipher` offers, loaded when first used."""

from .envelope import open_chunks, open_envelope, seal, seal_chunks, seal_stream
from .featurefile import open_file, open_table, seal_file
from .header import Header, Suite, read_header
from .keyfile import change_ring, create_ring, load_ring, save_ring
from .keys import EnvelopeKey, KeyRing, KeyState
from .onnxexport import export_onnx
from .permutation import ShuffleKey, derive_key, draw_key
from .request import RequestKey, request_key, seal_answer
from .shufflebits import ShuffleBits, shuffle_bits, unshuffle_bits

__all__ = [
    "EnvelopeKey",
    "Header",
    "KeyRing",
    "KeyState",
    "RequestKey",
    "ShuffleBits",
    "ShuffleKey",
    "Suite",
    "change_ring",
    "create_ring",
    "derive_key",
    "draw_key",
    "export_onnx",
    "load_ring",
    "open_chunks",
    "open_envelope",
    "open_file",
    "open_table",
    "read_header",
    "request_key",
    "save_ring",
    "seal",
    "seal_answer",
    "seal_chunks",
    "seal_file",
    "seal_stream",
    "shuffle_bits",
    "unshuffle_bits",
]
