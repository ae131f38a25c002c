"""Encrypted features (paper `shufflebits`): the module, authenticated envelopes, and keys.

ShuffleBits:

- ShuffleBits: the last module of a network; moves the bits of every output by a key.
- shuffle_bits: moves the bits of a tensor.
- unshuffle_bits: moves them back.
- ShuffleKey: a permutation of bit positions.
- draw_key: draws a random `ShuffleKey`.
- derive_key: derives a `ShuffleKey` from a secret.
- export_onnx: writes a network that ends in ShuffleBits as an ONNX file.

Envelopes: authenticated encryption of tensors:

- seal: encrypts a tensor.
- open_envelope: checks and decrypts a tensor.
- seal_stream: encrypts a large tensor into a stream.
- seal_chunks: encrypts a large tensor part by part.
- open_chunks: checks and decrypts an envelope part by part.
- Header: the public first part of an envelope.
- Suite: the ciphers of an envelope.
- read_header: reads the header of an envelope.
- seal_file: encrypts a file of features, whatever its form, with all that lies beside them.
- open_file: checks and decrypts an envelope file.
- open_table: the same in memory, as a `FeatureTable`.

Keys:

- EnvelopeKey: a secret key of envelopes.
- KeyRing: several keys, one of them primary.
- KeyState: whether a key seals, only opens, or is retired.
- create_ring: writes a new key ring to a new file, locked with a passphrase.
- load_ring: opens a key ring file.
- change_ring: changes a key ring file, one process at a time.
- save_ring: writes a key ring in place of what is there.
- RequestKey: a client's key pair for one request.
- request_key: makes a `RequestKey` from given private keys.
- seal_answer: encrypts a tensor for the client of one request.
"""

from __future__ import annotations

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
