"""How large a file a bank takes, by the terms that it fixed."""

from __future__ import annotations

import pytest
import torch
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sfumato.filter.enrollment import MOST_COPIES, Enrollment, seal_enrollment
from sfumato.serve.records.store import Terms


@pytest.mark.parametrize(("dim", "hidden"), [(1, 1), (64, 8), (300, 7), (2048, 32)])
def test_the_largest_file_that_fits_the_terms_is_taken_and_little_more(
    dim: int, hidden: int
) -> None:
    generator = torch.Generator().manual_seed(0)
    copies = torch.randint(0, 256, (MOST_COPIES, 32), generator=generator, dtype=torch.uint8)
    made = Enrollment(
        encoder=torch.zeros(hidden, dim),
        encoder_bias=torch.zeros(hidden),
        decoder=torch.zeros(dim, hidden),
        decoder_bias=torch.zeros(dim),
        code_mean=torch.zeros(hidden),
        code_covariance=torch.eye(hidden),
        mu=0.1,
        sigma=0.01,
        calibration="cross-fitted",
        count=MOST_COPIES,
        backbone="ab" * 32,
        copies=copies,
    )
    size = len(seal_enrollment(made, Ed25519PrivateKey.generate()))
    limit = Terms(backbone="ab" * 32, dim=dim, hidden=hidden).limit_bytes
    assert size <= limit <= size + (16 << 10)
