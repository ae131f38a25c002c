"""What the benchmark of the cipher compares with does the same work."""

from __future__ import annotations

import numpy as np
import torch

from benchmarks import cipher
from sfumato.cipher.permutation import draw_key
from sfumato.cipher.shufflebits import shuffle_bits


def test_the_peers_shuffle_as_we_do() -> None:
    x, key = torch.rand(50), draw_key(32)
    expected = shuffle_bits(x, key)
    tables = cipher.byte_tables(x.numpy(), key)().view(np.int32)
    assert torch.equal(torch.from_numpy(tables), expected)
    looped = np.array(cipher.string_loop(x.tolist(), key), dtype=np.float32)
    plain = ~np.isnan(looped)  # the loop returns floats, as the authors' does, and may lose NaNs
    assert np.array_equal(looped.view(np.int32)[plain], expected.numpy()[plain])


def test_rates_are_sizes_over_seconds() -> None:
    figures = cipher.sealing(1 << 20, 1)
    assert figures["megabytes"] == 1
    assert figures["aes_256_gcm"] > 0
